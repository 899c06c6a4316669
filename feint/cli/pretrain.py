"""`feint pretrain`: from unlabelled images to an encoder."""

from __future__ import annotations

import json
import shlex
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from feint.cli.terminal import TerminalMonitor, TrackOption, say


class PrecisionChoice(StrEnum):
    """Of the numbers that training computes with."""

    fp32 = "fp32"
    bf16 = "bf16"


def pretrain(
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Images without labels: a folder, a CSV or Parquet manifest.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to make; it must not exist.", metavar="RUN")],
    method: Annotated[
        str, typer.Option(help="simclr, byol, barlow_twins, dino, mae or vicreg.", metavar="M")
    ] = "simclr",
    encoder: Annotated[
        str,
        typer.Option(
            help="resnet18 or vit_tiny; for a CPU resnet8 or vit_micro. vit_tiny/8: with patches of 8 px.", metavar="E"
        ),
    ] = "resnet8",
    steps: Annotated[int, typer.Option(help="How many.")] = 1000,
    batch: Annotated[int, typer.Option(help="Images a step, over all processes.")] = 64,
    image_size: Annotated[
        int, typer.Option(help="Resize images to about PX x PX pixels, keeping their shape.", metavar="PX")
    ] = 64,
    views: Annotated[
        str | None,
        typer.Option(
            help="imagenet, small, defect (default), mae (default for mae), or a composition like crop+color+blur.",
            metavar="V",
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="The highest learning rate (default: the encoder's).", metavar="R")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of the optimiser, likewise.", metavar="W")] = None,
    precision: Annotated[
        PrecisionChoice, typer.Option(help="bf16 computes in half precision where it can.")
    ] = PrecisionChoice.fp32,
    device: Annotated[str, typer.Option(help="cpu or cuda.", metavar="D")] = "cpu",
    seed: Annotated[int, typer.Option(help="Same seed, same machine: same weights to the last bit.", min=0)] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what an interrupted attempt has saved.")] = False,
    track: TrackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON on stdout.")] = False,
) -> None:
    """Pretrain an encoder on IMAGES without a label; N processes: torchrun --nproc-per-node N -m feint pretrain ..."""
    from feint.runs.api import pretrain as run_pretrain
    from feint.runs.pretrain import in_first_process

    with TerminalMonitor() if in_first_process() else nullcontext() as monitor:
        record = run_pretrain(
            images,
            out=out,
            method=method,
            encoder=encoder,
            views=views,
            image_size=image_size,
            steps=steps,
            batch=batch,
            rate=rate,
            weight_decay=weight_decay,
            precision=precision.value,
            device=device,
            seed=seed,
            resume=resume,
            monitor=monitor,
            trackers=track or (),
        )
    if not in_first_process():
        return
    for warning in record.warnings:
        say(f"Note: {warning.message}")
    run = shlex.quote(str(out))
    say(
        f"Encoder: {out}. Judge it: feint assess {run} {shlex.quote(str(images))}. "
        f"Use it: feint tune NORMAL UNLABELLED --out ANOTHER --encoder {run}"
    )
    if as_json:
        print(json.dumps({"run": str(out), **record.model_dump(mode="json")}, indent=2))  # noqa: T201
