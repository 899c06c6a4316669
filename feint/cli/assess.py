"""`feint assess`: how good a pretrained representation is, without labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feint.cli.terminal import TerminalMonitor, say, visible

if TYPE_CHECKING:
    from feint.records.assessment import AssessmentRecord, MetricValues

NAMES = {
    "rankme": "RankMe",
    "rankme_centred": "RankMe, centred",
    "eig_rank": "eigenvalue rank",
    "alpha_req": "alpha-ReQ",
    "nesum": "NESum",
    "stable_rank": "stable rank",
    "pseudo_condition": "pseudo-condition",
    "coherence": "coherence",
    "coherence_p99": "coherence, 99 %",
    "self_cluster": "SelfCluster",
    "lidar": "LiDAR",
    "alignment": "alignment",
    "uniformity": "uniformity",
    "cluster_learnability": "cluster learnability",
    "intrinsic_dimension": "intrinsic dimension",
    "clid": "CLID",
    "std_of_l2": "spread on the sphere",
    "pseudo_probe": "pseudo-anomalies",
    "pseudo_probe_cutpaste": "CutPaste",
}
BETTER = {"up": "higher", "down": "lower", "near 1": "near 1", "none": ""}


def assess(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that feint pretrain wrote.")],
    images: Annotated[
        Path,
        typer.Argument(metavar="IMAGES", help="Images to look at: a folder, an MVTec category, a manifest. No labels."),
    ],
    seed: Annotated[int, typer.Option(help="Of the views and of samples.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Tell without labels how good the encoder of RUN is on IMAGES, whether it collapsed, and what to keep."""
    from feint.runs.api import assess as run_assess

    with TerminalMonitor() as monitor:
        record = run_assess(run, images, seed=seed, monitor=monitor)
    if as_json:
        print(record.model_dump_json(indent=2))  # noqa: T201
        return
    for each in record.skipped:
        say(f"Left out: {visible(each.path)}: {each.reason}")
    print("\n".join([*_verdict(record), "", *_table(record), "", *record.notes]))  # noqa: T201


def _verdict(record: AssessmentRecord) -> list[str]:
    keep = record.keep
    which = "none of the checkpoints" if keep.step is None else f"the checkpoint of step {keep.step}"
    first = f"{record.method} on {record.architecture}, seen through {record.images:,} images without labels."
    alarms = [f"Alarm at step {each.step}: {alarm.message}" for each in record.checkpoints for alarm in each.alarms]
    return [first, *(alarms or ["No alarm of collapse at any checkpoint."]), f"Keep {which}: {keep.why}"]


def _table(record: AssessmentRecord) -> list[str]:
    """Return one line per metric: the untrained encoder, the encoder at each checkpoint, the last projector."""
    columns: dict[str, MetricValues] = {"untrained": record.untrained}
    columns |= {f"step {each.step}": each.encoder for each in record.checkpoints}
    if record.projector is not None:
        columns["projector"] = record.projector
    width = max(map(len, NAMES.values()))
    lines = [f"{'':{width}}  better" + "".join(f"{name:>12}" for name in columns)]
    for key, name in NAMES.items():
        better = BETTER[record.details[key].direction] if key in record.details else ""
        numbers = "".join(f"{_number(getattr(each, key)):>12}" for each in columns.values())
        lines.append(f"{name:<{width}}  {better:<6}{numbers}")
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:#.3g}".rstrip(".")
