"""After the choice: calibration normals are opened, unlabelled images get p-values, normal ones are cross-checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from feint.calibration.conformal import leave_one_out_p_values, realised_rate, smallest_rate, threshold
from feint.calibration.discoveries import power_warning
from feint.records.run import CalibrationRecord, FoundRecord, WarningRecord
from feint.runs.carrying_out import Crew
from feint.runs.committee_jobs import CommitteeJob, FinalJob, Finished, load_finished
from feint.runs.finding import Calibration, find
from feint.runs.model import Member, Model, calibrated, standardise
from feint.runs.preparing import Prepared
from feint.runs.settings import DEFAULT_RATE, TuneSettings

MAPPED = 64


@dataclass(frozen=True)
class Judged:
    """Score, p-value and flag of images (n,)."""

    scores: np.ndarray
    p_values: np.ndarray
    flagged: np.ndarray


@dataclass(frozen=True)
class Verdict:
    """The calibrated model and what it says of the unlabelled images."""

    model: Model
    unlabelled: Judged
    calibration: CalibrationRecord
    found: FoundRecord
    warnings: list[WarningRecord]


def judge(
    data: Prepared,
    settings: TuneSettings,
    finals: Sequence[CommitteeJob],
    crew: Crew,
    *,
    learned: Collection[str] = (),
) -> Verdict:
    """Open the calibration normals, once, and judge every unlabelled image with the final detector.

    An unlabelled image is judged by voters that have not seen it: those of its fold, where they learn from the pool.
    Those whose marks it has `learned` from are scored, but are no evidence: what was found is of the others.
    """
    seen = np.array([name in learned for name in data.unlabelled_names], dtype=bool)
    members, finished, calibrations = [], [], []
    for job, roles in zip(finals, data.rotations, strict=True):
        found = crew.scores(job, roles.calibration).astype(np.float64)
        finished.append(load_finished(job, crew.space.jobs))
        calibrations.append(found[1:])
        preprocessing = data.preprocessing[data.px_of(job.material.normal)]
        members.append(Member(finished[-1].whole, found[0], job.voters, preprocessing))
    first = finals[0]  # whose maps are shown
    maps = crew.maps(first, [(first.material.normal, data.rotations[0].calibration[:MAPPED])])
    n = sum(len(each.calibration) for each in members)
    rate, warnings = _rate(settings, n, int((~seen).sum()))
    mode: Literal["fdr", "false_alarm_rate"] = "fdr" if settings.fdr else "false_alarm_rate"
    model = Model(members=tuple(members), mode=mode, rate=rate, map_scale=map_scale_of(maps))
    judged = _judged(*_judge_pool(finished, calibrations), data, model, seen)
    names = [data.normal_names[i] for roles in data.rotations for i in roles.calibration]
    normals = Calibration(names, model.calibration_scores)
    told, advice = find(judged.p_values[~seen], model, normals, known=len(data.twins), learned=int(seen.sum()))
    return Verdict(model, judged, _calibration_record(model, settings, n), told, [*warnings, *advice])


def _judge_pool(finished: list[Finished], calibrations: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return score and p-value of the unlabelled images (n,), from calibration scores (folds, c) of each rotation.

    The folds are the same in all rotations where a voter learns from the pool; elsewhere one committee judges all.
    """
    folds = max(finished, key=lambda each: len(each.by_fold)).folds
    scores, p = np.zeros(len(folds)), np.ones(len(folds))
    for fold in np.unique(folds):
        rows = folds == fold
        own = [each[fold if len(each) > 1 else 0] for each in calibrations]
        scores[rows], p[rows] = calibrated(own, [each.unlabelled[rows] for each in finished])
    return scores, p


def _rate(settings: TuneSettings, n: int, unlabelled: int) -> tuple[float, list[WarningRecord]]:
    """Return the rate to use: the one asked, or the default, or the smallest that n calibration normals support."""
    if settings.fdr:
        message = power_warning(n, unlabelled, settings.fdr)
        return settings.fdr, [WarningRecord(code="fdr-power", message=message)] if message else []
    if settings.false_alarm_rate:
        return settings.false_alarm_rate, []
    if smallest_rate(n) <= DEFAULT_RATE:
        return DEFAULT_RATE, []
    rate = smallest_rate(n)
    message = (
        f"{n} calibration normals cannot support a false-alarm rate of {_percent(DEFAULT_RATE)}: "
        f"{_percent(rate)} is used, the smallest they support."
    )
    return rate, [WarningRecord(code="rate-fell-back", message=message)]


def map_scale_of(maps: list[np.ndarray]) -> tuple[float, float]:
    """Return the map values of ordinary and of clearly unusual positions, from the maps of normal images."""
    values = np.concatenate([each.ravel() for each in maps])
    low, high = np.quantile(values, [0.5, 0.999])
    return float(low), float(max(high * 1.25, low + 1e-6))


def _judged(scores: np.ndarray, p_values: np.ndarray, data: Prepared, model: Model, seen: np.ndarray) -> Judged:
    """Judge unlabelled images, those that also stand among the normal ones with a p-value of 1.

    Those `seen` in training (n,) are flagged where others of their p-value are, and do not move the line themselves.
    """
    p = p_values.copy()
    p[list(data.twins)] = 1.0
    if model.mode == "false_alarm_rate":
        return Judged(scores, p, model.flags(p))
    others = p[~seen]
    return Judged(scores, p, p <= others[model.flags(others)].max(initial=0.0))


def _calibration_record(model: Model, settings: TuneSettings, n: int) -> CalibrationRecord:
    asked = settings.fdr or settings.false_alarm_rate or DEFAULT_RATE
    single = len(model.members) == 1
    if model.mode == "fdr":
        guarantee = f"On average at most {model.rate:.2g} of the flagged images are normal."
        realised = (0.0, 0.0)
        line = None
    else:
        realised = realised_rate(n, model.rate)
        line = threshold(model.members[0].calibration, model.rate) if single else None
        guarantee = (
            f"At most {_percent(model.rate)} of normal images are flagged, on average over calibration sets; with "
            f"these {n}, between {_percent(realised[0])} and {_percent(realised[1])} in nine of ten cases."
        )
        if not single:
            guarantee += " With cross-fitting the proven bound is twice that rate."
    guarantee += " It holds for normal images that come from the same source as the ones given."
    return CalibrationRecord(
        images=n, mode=model.mode, asked=asked, rate=model.rate, threshold=line, realised=realised, guarantee=guarantee
    )


def audit(data: Prepared, model: Model, audits: list[FinalJob], crew: Crew) -> Judged:
    """Return every normal image's score by a detector that was not trained on it, its rank among its kind, its flag.

    Images scored by the same detector are ranked among themselves; their scores are brought to one scale by the
    quartiles of each group.
    """
    groups = [
        (roles.calibration, member.calibration) for roles, member in zip(data.rotations, model.members, strict=True)
    ]
    groups += [(job.judged, load_finished(job, crew.space.jobs).judged) for job in audits]
    return ranked(model, groups, len(data.normal_names))


def ranked(model: Model, groups: Sequence[tuple[np.ndarray, np.ndarray]], n: int) -> Judged:
    """Return n normal images on the scale of the calibration, from groups of rows and scores (k,) by one detector each.

    No detector was trained on its group; images are ranked among their group.
    """
    scores, p = np.zeros(n), np.ones(n)
    low, middle, high = np.quantile(model.calibration_scores, [0.25, 0.5, 0.75])
    for rows, found in groups:
        scores[rows] = middle + (high - low) * standardise(np.asarray(found, dtype=np.float64), found)
        p[rows] = leave_one_out_p_values(found) if len(rows) > 1 else 1.0
    rate = model.rate if model.mode == "false_alarm_rate" else DEFAULT_RATE
    return Judged(scores, p, p <= rate)


def _percent(rate: float) -> str:
    return f"{100 * rate:.2g} %"
