"""`feint score`: new images through a saved run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feint.cli.terminal import TerminalMonitor, say


def score(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that feint tune or feint export wrote.")],
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Images to score: a folder, an MVTec category, a manifest.")
    ],
    out: Annotated[Path, typer.Option(help="The CSV to write: path,score,p_value,flagged.")],
    maps: Annotated[
        Path | None, typer.Option(help="A folder to make for anomaly maps: grey PNG, 0 ordinary, 255 unusual.")
    ] = None,
) -> None:
    """Score IMAGES with the detector of RUN, and warn when they have drifted from its calibration."""
    from feint.core.errors import OutputError
    from feint.core.files import write_text
    from feint.export.manifest import is_export

    if out.exists():
        raise OutputError(f"{out} exists already and is never overwritten: choose another name with --out.")
    with TerminalMonitor() as monitor:
        if is_export(run):
            from feint.export.scoring import score_exported

            found = score_exported(run, images, maps=maps, monitor=monitor)
        else:
            from feint.runs.run import Run
            from feint.runs.score import score_images

            found = score_images(Run(run), images, maps=maps, monitor=monitor)
    write_text(out, found.table.to_csv(index=False, lineterminator="\n"))
    for each in found.skipped:
        say(f"Left out: {each.path}: {each.reason}")
    if found.drift:
        say(f"Warning: {found.drift}")
    say(f"{int(found.table.flagged.sum()):,} of {len(found.table):,} images flagged. Scores: {out}")
