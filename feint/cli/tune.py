"""`feint tune`: from two sets of images to a run."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from feint.cli.terminal import TerminalMonitor, TrackOption, names_in, say


class BudgetChoice(StrEnum):
    """Steps, not seconds."""

    quick = "quick"
    standard = "standard"
    thorough = "thorough"


def tune(
    normal: Annotated[
        Path,
        typer.Argument(metavar="NORMAL", help="Normal images: a folder, an MVTec category, a CSV or Parquet manifest."),
    ],
    unlabelled: Annotated[
        Path, typer.Argument(metavar="UNLABELLED", help="The images to judge, normal and anomalous ones mixed.")
    ],
    out: Annotated[Path, typer.Option(help="The run folder to make; it must not exist.")],
    seed: Annotated[int, typer.Option(help="Same seed, same machine: same scores to the last bit.", min=0)] = 0,
    budget: Annotated[BudgetChoice, typer.Option(help="How many steps are spent.")] = BudgetChoice.standard,
    image_size: Annotated[
        int | None, typer.Option(help="Resize images to about PX x PX pixels, keeping their shape.", metavar="PX")
    ] = None,
    false_alarm_rate: Annotated[
        float | None,
        typer.Option(help="Largest share of normal images flagged (default 0.05).", metavar="A"),
    ] = None,
    fdr: Annotated[
        float | None, typer.Option(help="Instead: largest share of normal images among the flagged.", metavar="Q")
    ] = None,
    augmentations: Annotated[
        str | None, typer.Option(help="Those to search, e.g. cutdiff,rotation (default: the budget's).", metavar="A,B")
    ] = None,
    nuisance: Annotated[
        str | None,
        typer.Option(help="Changes that must not count as anomalies: flips,brightness.", metavar="A,B"),
    ] = None,
    single: Annotated[
        bool, typer.Option("--single", help="One candidate is the answer, not several that vote.")
    ] = False,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Candidates start from these weights too: a folder of feint pretrain, timm:NAME or lite0.",
            metavar="PRETRAINED",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.", metavar="D")] = "cpu",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what an interrupted attempt has finished.")
    ] = False,
    track: TrackOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary as JSON on stdout, all else on stderr.")
    ] = False,
) -> None:
    """Tune the augmentation to NORMAL and UNLABELLED without a label, train, score every image, write a report."""
    from feint.runs.api import tune as run_tune

    with TerminalMonitor() as monitor:
        run = run_tune(
            normal,
            unlabelled,
            out=out,
            seed=seed,
            budget=budget.value,
            image_size=image_size,
            false_alarm_rate=false_alarm_rate,
            fdr=fdr,
            augmentations=names_in(augmentations),
            nuisances=names_in(nuisance) or (),
            single=single,
            encoder=encoder,
            device=device,
            resume=resume,
            monitor=monitor,
            trackers=track or (),
        )
    record = run.record
    for warning in record.warnings:
        say(f"Note: {warning.message}")
    say(record.found.sentence)
    say(record.choice.sentence)
    say(f"Report: {run.path / 'report.html'}")
    if as_json:
        keep = {"seed", "settings", "choice", "calibration", "found", "phases", "label_reads", "warnings", "versions"}
        print(json.dumps({"run": str(run.path), **record.model_dump(mode="json", include=keep)}, indent=2))  # noqa: T201
