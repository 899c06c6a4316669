"""`feint score`: new images through a saved run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from feint.cli.bulk import Bulk, BulkBackend
from feint.cli.terminal import TerminalMonitor, say, visible

TABLE, BULK = ".csv", ".parquet"
"""What --out may end in, in whatever case."""


def score(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that feint tune or feint export wrote.")],
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES",
            help="Images to score: a folder, an MVTec category, a manifest; for OUT.parquet also Parquet files that "
            "hold images, and URLs such as s3://BUCKET/FOLDER.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="What to write: a CSV, highest score first; or OUT.parquet, a folder of part files in the order of "
            "IMAGES, for any number of images: the same command goes on after an interruption."
        ),
    ],
    maps: Annotated[
        Path | None, typer.Option(help="A folder to make for anomaly maps: grey PNG, 0 ordinary, 255 unusual.")
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="The column of Parquet files with the images (default: image or bytes).")
    ] = None,
    backend: Annotated[
        BulkBackend | None, typer.Option(help="Where OUT.parquet is computed (default: processes).")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="How many at a time (default: one per core).", min=1)] = None,
    address: Annotated[str | None, typer.Option(help="HOST:PORT of a Ray cluster.", metavar="HOST:PORT")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was counted as JSON on stdout.")] = False,
) -> None:
    """Score IMAGES with the detector of RUN, and warn when they have drifted from its calibration."""
    from feint.core.errors import SettingError

    for_bulk = {"--column": column, "--backend": backend, "--workers": workers, "--address": address}
    ending = out.suffix.lower()
    if ending not in {TABLE, BULK}:
        raise SettingError(f"--out must end in {TABLE}, for a table, or {BULK}, for a folder of parts: got {out}.")
    if ending == BULK:
        if maps is not None:
            raise SettingError(f"--maps goes with an --out that is a CSV file: got {out}.")
        counted = Bulk(column, backend or BulkBackend.processes, workers, address).run(run, images, out)
    else:
        if given := [name for name, value in for_bulk.items() if value is not None]:
            raise SettingError(f"{', '.join(given)} goes with an --out that ends in .parquet: got {out}.")
        counted = _table(run, images, out, maps)
    if as_json:
        print(json.dumps({**counted, "out": str(out)}))  # noqa: T201


def _table(run: Path, images: str, out: Path, maps: Path | None) -> dict[str, int]:
    """Write one CSV; return what is in it."""
    from feint.core.errors import SettingError
    from feint.core.files import refuse_unwritable, write_text
    from feint.data.remote import is_url, redacted
    from feint.export.api import scored
    from feint.runs.scored import csv_text

    if is_url(images):
        raise SettingError(
            f"{redacted(images)} is a URL, whose images are scored into a folder: give an --out like OUT.parquet."
        )
    refuse_unwritable(out)
    _refuse_existing(out)
    with TerminalMonitor() as monitor:
        found = scored(run, images, maps=maps, monitor=monitor)
    _refuse_existing(out)  # another command may have written it meanwhile
    write_text(out, csv_text(found.table))
    for each in found.skipped:
        say(f"Left out: {visible(each.path)}: {each.reason}")
    if found.drift:
        say(f"Warning: {found.drift}")
    flagged, read = int(found.table.flagged.sum()), len(found.table)
    say(f"{flagged:,} of {read:,} images flagged. Scores: {out}")
    return {"images": read + len(found.skipped), "flagged": flagged, "unreadable": len(found.skipped)}


def _refuse_existing(out: Path) -> None:
    from feint.core.errors import OutputError

    if out.exists():
        raise OutputError(f"{out} exists already and is never overwritten: choose another name with --out.")
