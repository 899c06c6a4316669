"""Old and new detector side by side, on marked images that neither has learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd

from feint.metrics.two_sample import TWO_SAMPLE_AUROC
from feint.records.refit import Judgement, Kinds, RefitRecord, Roles
from feint.records.run import Estimate
from feint.runs.refit_marks import Known
from feint.stats.paired_bootstrap import compare
from feint.stats.resampling import Interval

FEW = 10
NAMED = 5


@final
@dataclass(frozen=True)
class Parent:
    """The run that is refitted: its folder as given, and the sha256 of its model."""

    path: str
    sha256: str


def refit_record(
    old: pd.DataFrame, new: pd.DataFrame, roles: Roles, *, known: Known, parent: Parent, seed: int
) -> RefitRecord:
    """Return how the new scores compare with the old ones on the marked images kept for judging.

    The difference of the AUROCs, whose interval would decide, is given where ten of each kind were kept.

    Args:
        old, new: tables of path, score and flagged of the unlabelled images. roles: of the marked ones.
        known: which of these are copies. parent: the old run. seed: of the refit.
    """
    names = {"normal": roles.judged_normal, "anomalous": roles.judged_anomalous}
    judged = Kinds(anomalous=len(names["anomalous"]), normal=len(names["normal"]))
    tables = [each.set_index("path") for each in (old, new)]
    flags = [{kind: int(each.loc[of, "flagged"].sum()) for kind, of in names.items()} for each in tables]
    aurocs: list[Estimate | None] = [None, None]
    difference = None
    if judged.anomalous and judged.normal:
        normal, anomalous = (
            np.stack([each.loc[names[kind], "score"].to_numpy(dtype=np.float64) for each in tables])
            for kind in ("normal", "anomalous")
        )
        found = compare(normal, anomalous, criterion=TWO_SAMPLE_AUROC, seed=seed)
        aurocs = [_estimate(found.estimate(c)) for c in range(2)]
        difference = _estimate(found.gap(1, 0)) if min(judged.anomalous, judged.normal) >= FEW else None
    before, after = (
        Judgement(auroc=auroc, caught=each["anomalous"], rejected=each["normal"])
        for auroc, each in zip(aurocs, flags, strict=True)
    )
    fitted = Kinds(
        anomalous=len(known.different(roles.fitted_anomalous)), normal=len(known.different(roles.fitted_normal))
    )
    said = [_learned(fitted), _compared(judged, before, after, difference), _against(new, roles)]
    return RefitRecord(
        parent=parent.path,
        parent_sha256=parent.sha256,
        seed=seed,
        fitted=fitted,
        judged=judged,
        old=before,
        new=after,
        difference=difference,
        roles=roles,
        sentence=" ".join(filter(None, said)),
    )


def _against(new: pd.DataFrame, roles: Roles) -> str:
    """Return in words which images are flagged otherwise than the marks that were learned from; '' where none is."""
    flagged = set(new.path[new.flagged == 1])
    still = [name for name in roles.fitted_normal if name in flagged]
    missed = [name for name in roles.fitted_anomalous if name not in flagged]
    said = []
    if still:
        said.append(f"{len(still):,} learned as normal {_are(still)} flagged ({_named(still)})")
    if missed:
        said.append(f"{len(missed):,} learned as anomalous {_are(missed)} not ({_named(missed)})")
    return f"Marks do not overrule the threshold: {' and '.join(said)}." if said else ""


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _learned(fitted: Kinds) -> str:
    return f"The new detector learned from {_counted(fitted)} marked images."


def _compared(judged: Kinds, old: Judgement, new: Judgement, difference: Estimate | None) -> str:
    """Return in words what the judged images say; nothing is claimed that so few cannot show."""
    if not judged.anomalous and not judged.normal:
        return "No mark was left to judge it by: whether it is better than the old one is not known. Mark more images."
    caught = f"of {judged.anomalous} anomalous ones it flags {new.caught} (the old detector {old.caught})"
    rejected = f"of {judged.normal} normal ones {new.rejected} (the old one {old.rejected})"
    if old.auroc is None or new.auroc is None:
        kind, said = (
            ("normal", caught) if judged.anomalous else ("anomalous", rejected.replace("ones", "ones it flags"))
        )
        return (
            f"Among the marked images kept apart, {said}. No {kind} one was left to compare them with: whether the new "
            "detector is better is not known. Mark more images."
        )
    numbers = f"{new.auroc.value:.3f} instead of {old.auroc.value:.3f}"
    if difference is not None:
        numbers += f" ({difference.value:+.3f}, 95 % interval {difference.low:+.3f} to {difference.high:+.3f})"
    return (
        f"{_verdict(difference)}: on {_counted(judged)} marked images kept apart the AUROC is {numbers}; "
        f"{caught}, {rejected}."
    )


def _verdict(difference: Estimate | None) -> str:
    if difference is None:
        return f"Fewer than {FEW} marked images of a kind were kept to judge by, too few to tell which is better"
    if difference.low > 0:
        return "It is better than the old one"
    if difference.high < 0:
        return "It is worse than the old one: keep the old one"
    return "Whether it is better than the old one cannot be told"


def _counted(kinds: Kinds) -> str:
    return f"{kinds.anomalous} anomalous and {kinds.normal} normal"


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=interval.value, low=interval.low, high=interval.high)
