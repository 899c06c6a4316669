"""`feint.export_run`, and `feint.score` and `feint.score_in_bulk` by a run or by what was exported of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from feint.backends import BackendName
from feint.export.manifest import is_export
from feint.runs.bulk import Progress, Summary, run_bulk
from feint.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

    from feint.data.sources import Source
    from feint.export.exporting import Exported
    from feint.export.manifest import Kind
    from feint.runs.preparing import ImagesLike
    from feint.runs.progress import Monitor
    from feint.runs.scored import Scored


def export_run(
    run: str | Path | Run,
    *,
    out: str | Path,
    format: Kind = "onnx",  # noqa: A002
    images: Source | None = None,
) -> Exported:
    """Write the detector of a run as one graph for other programs, if it says what the run says.

    Args:
        run: the run or its folder. out: the folder to make, for `score` to take. format: "onnx", "openvino" or
            "torch-export". images: on which graph and run are compared; None: those the run was tuned on where they
            are still there, otherwise generated ones.

    Returns: what was written and compared (`manifest`, `manifest.parity`), and how fast both are (`timings`).

    Raises: SettingError where a library is missing or a part of the model has no such graph, InputError where `images`
    cannot be used, IntegrityError, OutputError where `out` exists or the graph differs from the run; nothing is
    written then.
    Cost: ten seconds on one core for ONNX with two voters, most of it torch's exporter.
    """
    from feint.export import exporting

    return exporting.export_run(run if isinstance(run, Run) else Run(run), kind=format, out=Path(out), images=images)


def score(run: str | Path | Run, images: ImagesLike, *, maps: str | Path | None = None) -> pd.DataFrame:
    """Return path, score, p_value and flagged of new images, highest score first, by a saved run.

    Args:
        run: the run, its folder, or a folder that feint export wrote. images: as for `tune`. maps: a folder to make,
            for anomaly maps as grey PNG files.

    Raises: InputError, IntegrityError, OutputError; SettingError where an exported model's runtime is not installed.
    """
    return scored(run, images, maps=None if maps is None else Path(maps)).table


def scored(
    run: str | Path | Run, images: ImagesLike, *, maps: Path | None = None, monitor: Monitor | None = None
) -> Scored:
    """Return what `score` does with what was left out and whether the images have drifted; `monitor` is told."""
    if not isinstance(run, Run) and is_export(Path(run)):
        from feint.export.scoring import score_exported

        return score_exported(Path(run), images, maps=maps, monitor=monitor)
    from feint.runs.score import score_images

    return score_images(run if isinstance(run, Run) else Run(run), images, maps=maps, monitor=monitor)


def score_in_bulk(
    run: str | Path | Run,
    source: str | Path,
    *,
    out: str | Path,
    column: str | None = None,
    backend: BackendName = "processes",
    workers: int | None = None,
    address: str | None = None,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Summary:
    """Score any number of images into part files in the folder `out`, in the order of the source; return the counts.

    The columns are path, score, p_value, flagged (0 or 1) and reason, which is null where the image could be read and
    alone filled in, beside the path, where not. Stopped in whatever way, the same call goes on where it was and ends in
    the same table to the last bit.

    Args:
        run: the run, its folder, or a folder that feint export wrote. With Ray every node must find it there.
        source: a folder of any depth, an MVTec category (its test images), a CSV, JSON or Parquet manifest, Parquet
            files with images in a column, or a URL that fsspec knows, of any of these.
        out: the folder to make, or that of the same job, unfinished.
        column: of Parquet files, the one with the images: bytes, or a struct with a field `bytes`; None: `image` or
            `bytes`.
        backend: "processes", "serial" or "ray". workers: how many at a time; None: one per core. address: HOST:PORT of
            a Ray cluster. Results do not depend on these.
        tell: is told of the progress after every part.

    Raises: InputError, SettingError, IntegrityError; OutputError where `out` is finished, of another job, or the disk
    is full; WorkerError where workers keep dying.
    Cost: memory does not grow with the number of images, but for one folder's names; some 300 MB a worker.
    """
    from feint.export.bulk import open_export
    from feint.runs.bulk_judge import open_run

    model = run.path if isinstance(run, Run) else Path(run)
    return run_bulk(
        open_export if is_export(model) else open_run, model, str(source), out=Path(out), column=column,
        backend=backend, workers=workers, address=address, tell=tell,
    )  # fmt: skip
