"""`feint refit`: from a run and marked images to a new run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from feint.cli.terminal import TerminalMonitor, say


def refit(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that feint tune or feint refit wrote.")],
    marks: Annotated[
        Path,
        typer.Argument(
            metavar="MARKS", help="A CSV path,label (0 normal, 1 anomalous), with the paths of RUN's scores.csv."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The run folder to make; it must not exist.")],
    seed: Annotated[int, typer.Option(help="Same seed, same machine: same scores to the last bit.", min=0)] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the comparison as JSON on stdout, all else on stderr.")
    ] = False,
) -> None:
    """Learn from MARKS, calibrate anew, write a new run, and compare it with RUN on marks that were kept apart."""
    from feint.runs.api import refit as run_refit

    with TerminalMonitor() as monitor:
        new = run_refit(run, marks, out=out, seed=seed, monitor=monitor)
    record = new.refitted
    assert record is not None
    say(new.record.found.sentence)
    say(record.sentence)
    say(f"Report: {new.path / 'report.html'}")
    if as_json:
        print(json.dumps({"run": str(new.path), **record.model_dump(mode="json")}, indent=2))  # noqa: T201
