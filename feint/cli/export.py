"""`feint export`: a run as one graph for ONNX Runtime or OpenVINO."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, cast

import typer

from feint.cli.terminal import TerminalMonitor, say


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that feint tune wrote.")],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    format: Annotated[str, typer.Option(help="onnx, openvino or torch-export.")] = "onnx",
    images: Annotated[
        Path | None,
        typer.Option(help="Images on which graph and run are compared. Default: those of the run, if still there."),
    ] = None,
) -> None:
    """Write the detector of RUN as one graph that other programs can run, if it says what RUN says."""
    from feint.backends import available_cores
    from feint.export.evidence import GENERATED
    from feint.export.exporting import export_run
    from feint.export.manifest import Kind
    from feint.runs.run import Run

    with TerminalMonitor() as monitor:
        found = export_run(Run(run), kind=cast("Kind", format), out=out, images=images, monitor=monitor)
    parity = found.manifest.parity
    if parity.source == GENERATED:
        say(
            "Warning: NO REAL IMAGE WAS COMPARED, only generated ones: the images of the run are not where they were. "
            "Give some with --images."
        )
    say(
        f"Graph and run agree on {parity.images} images ({parity.source}): scores to {parity.score:.1e}, maps to "
        f"{parity.map:.1e} of their size, p-values to {parity.p_value:.1e}, the same {parity.flagged} flagged."
    )
    say(f"How fast, on {available_cores()} threads each, if nothing else runs here:")
    print(f"{'runtime':<14}{'batch':>6}{'p50 ms':>10}{'p95 ms':>10}{'images/s':>10}")  # noqa: T201
    for each in found.timings:
        print(  # noqa: T201
            f"{each.runtime:<14}{each.batch:>6}{each.p50:>10.2f}{each.p95:>10.2f}{each.images_per_second:>10,.0f}"
        )
    say(f"Exported to {out}. Score with it, without torch: feint score {shlex.quote(str(out))} IMAGES --out scores.csv")
