"""What trackers are told of a run: its log as it grows, then what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, final

from feint.records.run import Estimate, RunRecord
from feint.report import Gallery, Picture
from feint.report.images import overlay
from feint.runs.pretrain_settings import PretrainSettings
from feint.runs.progress import Monitor
from feint.runs.settings import TuneSettings
from feint.runs.workspace import Workspace
from feint.trackers import Guarded, Tracked

PLACES = ("step", "point")
FILES = ("run.json", "scores.csv", "metrics.jsonl", "report.html", "card.md")


def begin(
    tracking: Guarded, command: Literal["tune", "pretrain"], settings: TuneSettings | PretrainSettings, space: Workspace
) -> None:
    """Begin the tracking of a run whose workspace is claimed."""
    if not tracking:
        return
    for log in space.logs.glob("*.jsonl"):
        if not (space.jobs / f"{log.stem}.safetensors").exists():
            log.unlink()  # of a job that was broken off, which begins again
    out, told = space.out.absolute(), settings.model_dump(mode="json")
    tracking.begin(Tracked(command=command, out=out, settings=told, key=space.key, resumed=space.taken_up))


def row_of(line: str) -> tuple[int, dict[str, float]]:
    """Return step and numbers of a line of a log, each named for what it is and, where a job has logged it, for that.

    Example:
        >>> row_of('{"job": "train-0-mixture", "step": 20, "training_loss": 0.5}')
        (20, {'training_loss/train-0-mixture': 0.5})
        >>> row_of('{"job": "final-0", "voter": 1, "step": 20, "training_loss": 0.5}')
        (20, {'training_loss/final-0.voter-1': 0.5})
        >>> row_of('{"step": 5, "loss": 0.5, "alarms": ["low_rank_embeddings"]}')
        (5, {'loss': 0.5, 'alarms': 1.0, 'alarm/low_rank_embeddings': 1.0})
    """
    told = json.loads(line)
    series = f"/{told.pop('job')}" if "job" in told else ""
    series += f".voter-{told.pop('voter')}" if "voter" in told else ""
    step = next(int(told.pop(place)) for place in PLACES if place in told)
    alarms = told.pop("alarms", None)
    numbers = {f"{name}{series}": float(value) for name, value in told.items()}
    if alarms is not None:
        numbers |= {"alarms": float(len(alarms))} | {f"alarm/{code}": 1.0 for code in alarms}
    return step, numbers


@final
class Following:
    """A monitor that, as it hears of progress, tells the trackers what the logs `*.jsonl` of a folder say since."""

    def __init__(self, monitor: Monitor, tracking: Guarded, logs: Path) -> None:
        self._monitor, self._tracking, self._logs = monitor, tracking, logs
        self._read: dict[Path, int] = {}

    def say(self, text: str) -> None:
        """Tell the user a sentence."""
        self._monitor.say(text)

    def phase(self, name: str) -> None:
        """A phase begins."""
        self._monitor.phase(name)

    def advance(self, done: float, total: float) -> None:
        """Of the current phase, `done` of `total` is finished."""
        self._monitor.advance(done, total)
        for log in sorted(self._logs.glob("*.jsonl")) if self._tracking else ():
            with log.open("rb") as file:
                file.seek(self._read.get(log, 0))
                added = file.read()
            whole = added[: added.rfind(b"\n") + 1]
            self._read[log] = self._read.get(log, 0) + len(whole)
            for line in whole.decode().splitlines():
                step, numbers = row_of(line)
                self._tracking.numbers(numbers, step=step)


def tell_result(tracking: Guarded, record: RunRecord, gallery: Gallery, *, map_scale: tuple[float, float]) -> None:
    """Tell the trackers what came of a run: landscapes, criteria, the choice, numbers, the pictures of its page."""
    if not tracking:
        return
    for landscape in record.landscapes:
        series = f"{landscape.augmentation}-{landscape.size[0]}x{landscape.size[1]}px"
        for i, point in enumerate(landscape.points):
            numbers = point.magnitudes | {"criterion": point.two_sample_auroc}
            tracking.numbers({f"landscape/{series}.{name}": value for name, value in numbers.items()}, step=i)
    tracking.numbers(_criteria(record) | _magnitudes(record) | _final(record), step=0)
    for kind, pictures in (
        ("anomalous", gallery.anomalous), ("normal", gallery.normal), ("suspicious", gallery.suspicious),
    ):  # fmt: skip
        for i, picture in enumerate(pictures, start=1):
            _show(tracking, f"{kind}/{i:02d}", picture, map_scale)
    for group in gallery.pseudo:
        for i, (before, after) in enumerate(group.pairs, start=1):
            tracking.picture(f"pseudo-anomalies/{group.share.candidate}.{i:02d}-normal", before.image)
            tracking.picture(f"pseudo-anomalies/{group.share.candidate}.{i:02d}-pseudo", after.image)


def end_tune(tracking: Guarded, folder: Path) -> None:
    """Hand the files of a finished run to the trackers."""
    tracking.end([folder / name for name in FILES], finished=True)


def _criteria(record: RunRecord) -> dict[str, float]:
    judged = {each.name: each.criterion for each in record.candidates if each.criterion is not None}
    return {
        name: value for each, found in judged.items() for name, value in _interval("criterion", each, found).items()
    }


def _magnitudes(record: RunRecord) -> dict[str, float]:
    return {
        f"magnitude/{share.candidate}.{name}-{end}": value
        for share in record.choice.shares
        for name, drawn in share.magnitudes.items()
        for end, value in zip(("low", "high"), drawn, strict=True)
    } | {f"weight/{share.candidate}": share.weight for share in record.choice.shares}


def _final(record: RunRecord) -> dict[str, float]:
    choice, calibration, found = record.choice, record.calibration, record.found
    numbers: Mapping[str, float | None] = {
        "flagged": found.flagged,
        "expected_false_alarms": found.expected_false_alarms,
        "any_anomaly_p_value": found.any_anomaly_p_value,
        "together_p_value": found.together_p_value,
        "confidence": choice.confidence,
        "rate": calibration.rate,
        "threshold": calibration.threshold,
        "seconds": sum(each.seconds for each in record.phases),
        "peak_mib": max(each.peak_mib for each in record.phases),
    }
    told = {f"final/{name}": float(value) for name, value in numbers.items() if value is not None}
    estimates = {"advantage_over_none": choice.advantage_over_none, "anomalous_share": choice.anomalous_share}
    for name, estimate in estimates.items():
        told |= {} if estimate is None else _interval("final", name, estimate)
    return told


def _interval(group: str, name: str, found: Estimate) -> dict[str, float]:
    return {f"{group}/{name}": found.value, f"{group}/{name}.low": found.low, f"{group}/{name}.high": found.high}


def _show(tracking: Guarded, name: str, picture: Picture, scale: tuple[float, float]) -> None:
    tracking.picture(name, picture.image)
    if picture.map is not None:
        tracking.picture(f"{name}-map", overlay(picture.image, picture.map, scale=scale))
