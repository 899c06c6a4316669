"""`feint assess`: how good a pretrained representation is, without labels, at each checkpoint that was kept."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from feint import __version__
from feint.augmentations.views import views_named
from feint.backends import available_cores, limit_threads
from feint.core.errors import InputError
from feint.core.files import write_text
from feint.data import Decoded, decode, open_images
from feint.metrics.representations import DIRECTIONS, clid, collapse_alarms, projector_alarms, std_of_l2
from feint.records.assessment import AssessmentRecord, CheckpointRecord, KeepRecord, MetricRecord, MetricValues
from feint.records.run import WarningRecord
from feint.runs.finished_pretraining import Pretrained
from feint.runs.measuring import Ends, Measured, Metrics, Shown, evenly, has_projector, measure
from feint.runs.preparing import ImagesLike
from feint.runs.progress import Monitor, Silent
from feint.runs.workspace import Workspace

FILE = "assessment.json"
FEWEST, MOST = 10, 25_600
ENOUGH = 10


def run_assess(
    run: Pretrained, images: ImagesLike, *, seed: int = 0, monitor: Monitor | None = None
) -> AssessmentRecord:
    """Return every label-free metric of a pretraining on `images`, and store them in its folder.

    The encoder and the projector are measured at each checkpoint that was kept, and the encoder as it was before the
    first step; LiDAR and alignment see views such as the pretraining saw. Of more than 25,600 images as many, evenly
    spaced, are used; of a matrix of more than 2^24 numbers fewer rows.

    Raises: InputError where fewer than ten different images can be read; IntegrityError where a checkpoint is damaged;
    OutputError where the result cannot be stored.
    Cost: per checkpoint two passes over the images and over 12 views of each of 128 to 512 of them. Memory is bounded,
    as images lie decoded on disk meanwhile: 650 MiB for 25,600 of 32 px and ResNet-8, three times that at most.
    """
    monitor = monitor or Silent()
    limit_threads(available_cores())
    space = Workspace(run.path / "assessment")
    with closing(space.open(resume=False)):
        try:
            decoded, given = _decoded(run, images, space, monitor)
            record = _record(run, decoded, given=given, seed=seed, monitor=monitor)
        finally:
            space.discard()
    write_text(run.path / FILE, record.model_dump_json(indent=2))
    return record


@final
@dataclass(frozen=True)
class _Judged:
    """What was found at the checkpoint of a step: the metrics at each end of the learner, and alarms."""

    step: int
    ends: Ends
    alarms: list[WarningRecord]

    def record(self) -> CheckpointRecord:
        return CheckpointRecord(
            step=self.step,
            encoder=_values(self.ends["encoder"]),
            projector=_values(self.ends["projector"]) if "projector" in self.ends else None,
            alarms=self.alarms,
        )


def _decoded(run: Pretrained, images: ImagesLike, space: Workspace, monitor: Monitor) -> tuple[Decoded, int]:
    """Return the images that are used, prepared as the pretraining did, and how many were given."""
    monitor.phase("reading images")
    opened = open_images(images, role="unlabelled")
    chosen = opened.select(evenly(len(opened), MOST))
    decoded = decode(
        chosen,
        [run.record.preprocessing],
        workers=available_cores(),
        progress=lambda done: monitor.advance(done, len(chosen)),
        out=lambda shape: space.allocate("images", shape),
    )
    different = len(set(decoded.hashes))
    if different < FEWEST:
        skipped = f" {len(decoded.skipped)} more could not be read." if decoded.skipped else ""
        raise InputError(
            f"{len(decoded.names)} images, {different} of them different, are too few to judge a representation by: at "
            f"least {FEWEST} different ones are needed, and ten times as many as the encoder has features are better."
            f"{skipped} Give more images."
        )
    return decoded, len(opened)


def _judged(run: Pretrained, shown: Shown) -> tuple[Ends, list[_Judged]]:
    """Return the metrics of the untrained learner, and what was found at each checkpoint, one after the other."""
    learner = run.untrained()
    projecting = has_projector(learner, shown)
    untrained = measure(learner, shown, projector=projecting)
    spreads = {end: std_of_l2(each.z) for end, each in untrained.items()}
    found = []
    for step in run.record.checkpoints:
        learner = run.learner(step)
        measured = measure(learner, shown, projector=projecting)
        alarms = _alarms(measured, spreads, losses=run.losses(step), floor=learner.floor(run.record.batch))
        found.append(_Judged(step, {end: each.metrics for end, each in measured.items()}, alarms))
    before = {end: each.metrics for end, each in untrained.items()}
    for end, metrics in before.items():
        _add_clid([metrics, *(each.ends[end] for each in found)])
    return before, found


def _record(run: Pretrained, decoded: Decoded, *, given: int, seed: int, monitor: Monitor) -> AssessmentRecord:
    monitor.phase("assessing")
    done, learners = count(1), len(run.record.checkpoints) + 1
    shown = Shown(
        pixels=torch.from_numpy(decoded.pixels[0]),
        features=run.encoder.embedding_size,
        views=views_named(run.record.views),
        seed=seed,
        tick=lambda: monitor.advance(next(done), learners * shown.batches),
    )
    untrained, judged = _judged(run, shown)
    checkpoints = [each.record() for each in judged]
    last = checkpoints[-1]
    ends = [untrained, *(each.ends for each in judged)]
    shapes = {end: next(each[end] for each in reversed(ends) if each[end]) for end in untrained}
    return AssessmentRecord(
        **last.encoder.model_dump(),
        run=str(run.path),
        method=run.record.method,
        architecture=run.record.encoder,
        projector=last.projector,
        untrained=_values(untrained["encoder"]),
        checkpoints=checkpoints,
        keep=_keep(checkpoints),
        alarms=last.alarms,
        details=_details(shapes),
        notes=_notes(len(decoded.names), given, shapes),
        images=len(decoded.names),
        given=given,
        skipped=list(decoded.skipped),
        views=run.record.views,
        seed=seed,
        version=__version__,
    )


def _alarms(
    measured: dict[str, Measured], spreads: dict[str, float], *, losses: NDArray[np.float64], floor: float | None
) -> list[WarningRecord]:
    """Return the alarms of the encoder and the loss, and that of the projector where it has collapsed."""
    found = collapse_alarms(measured["encoder"].z, untrained_spread=spreads["encoder"], loss=losses, floor=floor)
    if "projector" in measured:
        found += projector_alarms(measured["projector"].z, untrained_spread=spreads["projector"])
    return [WarningRecord(code=each.code, message=each.sentence) for each in found]


def _add_clid(pool: list[Metrics]) -> None:
    """Add CLID to the metrics of each of a pool for which both of its parts are known."""
    keys = ("cluster_learnability", "intrinsic_dimension")
    known = [each for each in pool if each and all(math.isfinite(each[key].value) for key in keys)]
    if len(known) < 2:
        return
    values = clid(*([each[key].value for each in known] for key in keys))
    note = f"a sum of z-scores over {len(known)} encoders, the untrained one among them: of no meaning elsewhere."
    for each, value in zip(known, values, strict=True):
        numbers = {"pool": float(len(known))}
        each["clid"] = replace(
            each[keys[0]], value=float(value), direction=DIRECTIONS["clid"], details=numbers, note=note
        )


def _values(metrics: Metrics) -> MetricValues:
    return MetricValues(**{key: each.value for key, each in metrics.items() if math.isfinite(each.value)})


def _details(ends: Ends) -> dict[str, MetricRecord]:
    return {
        key if end == "encoder" else f"{key}@{end}": MetricRecord(
            n=each.n,
            d=each.d,
            centring=each.centring,
            eps=each.eps,
            direction=each.direction,
            dtype=each.dtype,
            numbers=each.details,
            note=each.note,
        )
        for end, metrics in ends.items()
        for key, each in metrics.items()
    }


def _keep(checkpoints: list[CheckpointRecord]) -> KeepRecord:
    """Return the last checkpoint that raises no alarm."""
    quiet = [each.step for each in checkpoints if not each.alarms]
    if not quiet:
        why = "every checkpoint raises an alarm: change the method, the views or the rate, and pretrain again."
        return KeepRecord(step=None, why=why)
    last = checkpoints[-1]
    if quiet[-1] == last.step:
        return KeepRecord(step=last.step, why="it is the last checkpoint, and raises no alarm.")
    why = f"it is the last checkpoint that raises no alarm; at step {last.step}, {last.alarms[0].message}"
    return KeepRecord(step=quiet[-1], why=why)


def _notes(images: int, given: int, ends: Ends) -> list[str]:
    """Return how to read the numbers."""
    found = []
    if given > MOST:
        found.append(f"{images:,} of the {given:,} images, evenly spaced, were used.")
    for end, metrics in ends.items():
        n, d = metrics["rankme"].n, metrics["rankme"].d
        if n < images:
            found.append(f"For the {d:,} features of the {end}, {n:,} of the images, evenly spaced, were used.")
        if n < ENOUGH * d:
            found.append(
                f"{n:,} images for the {d:,} features of the {end} are fewer than {ENOUGH} for each: the number of "
                "images holds its ranks down."
            )
    return [
        *found,
        "Compare these numbers only within one method, on the same images: a higher rank is no merit in itself.",
        "No single one of them has been found to choose reliably between encoders, so none does here: the checkpoint "
        "to keep is the last without an alarm. See docs/can-i-trust-rankme.md.",
    ]
