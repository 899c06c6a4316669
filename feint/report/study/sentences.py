"""What a comparison says, in words with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from feint.report import words
from feint.report.study import numbers
from feint.report.study.analysis import HALF, VANILLA, Comparison


def told(comparison: Comparison, *, categories: Mapping[str, str]) -> str:
    """Return in a few sentences which augmentation came first, by how much, and how often it hurt all the same."""
    means = {name: arm.harm.mean for name, arm in comparison.arms.items()}
    first = max(means, key=lambda name: means[name].value)
    size = numbers.counted(len(comparison.tasks), "task")
    classes = numbers.counted(len(set(comparison.clusters)), "normal class", "normal classes")
    seeds = numbers.counted(comparison.seeds, "seed")
    sets = numbers.listed(list(comparison.sets))
    begin = f"{comparison.detector} on {comparison.testbed} ({sets}; {size}, {classes}, {seeds}): "
    if not comparison.relative:
        best = words.decimals(means[first].value)
        return f"{begin}no vanilla counterpart; the highest mean AUROC is that of {first}, {best}."
    hurt = comparison.arms[first].harm.hurt.value
    said = f"{begin}{first}{_category(first, categories)} has the highest mean relative AUROC, "
    said += signed_interval(means[first])
    said += f", and hurt on {words.percent(hurt)} of the tasks. " if len(comparison.tasks) > 1 else ". "
    return said + " ".join(filter(None, (_ranked(comparison, first), _aligned(comparison), _rest(comparison))))


def against(comparison: Comparison) -> str:
    """Return what is subtracted from AUROC here."""
    return "0.5, that of a coin" if comparison.reference == HALF else f"that of {comparison.reference}"


def signed_interval(mean: numbers.Bounded) -> str:
    """Return a mean with its interval: `+0.031 (95 % interval +0.012 to +0.050)`."""
    ends = numbers.ends(mean)
    value = numbers.signed(mean.value)
    return f"{value} ({ends})" if ends == "no interval" else f"{value} (95{words.NBSP}% interval {ends})"


def _category(name: str, categories: Mapping[str, str]) -> str:
    return f" ({categories[name]})" if name in categories else ""


def _ranked(comparison: Comparison, first: str) -> str:
    if not comparison.comparable:
        return ""
    names, result = list(comparison.common), comparison.ranks
    best = names[result.order[0]]
    if best == first:
        return f"It also has the best mean rank, {words.number(float(result.ranks.min()))} of {len(names)}."
    who = "the vanilla detector itself" if best == VANILLA else best
    return f"The best mean rank, {words.number(float(result.ranks.min()))} of {len(names)}, is that of {who}."


def _aligned(comparison: Comparison) -> str:
    """Return where the augmentation that makes the very anomalies came among all, for each kind of anomaly."""
    kinds = comparison.tasks["anomaly"]
    said = []
    for kind in sorted(set(kinds) & set(comparison.values)):
        means = comparison.values[(kinds == kind).to_numpy()].mean().sort_values(ascending=False)
        place = int(np.flatnonzero(means.index == kind)[0]) + 1
        said.append(f"{kind} {numbers.ordinal(place)} of {len(means)} ({numbers.signed(float(means[kind]))})")
    return f"Each on the anomalies that it makes itself: {numbers.listed(said)}." if said else ""


def _rest(comparison: Comparison) -> str:
    means = comparison.values.mean()
    below = means[means < 0]
    if below.empty or len(means) < 2:
        return ""
    worst = str(below.idxmin())
    least = numbers.signed(float(below.min()))
    return f"{len(below)} of {len(means)} augmentations hurt on average, most of all {worst} ({least})."


def headline(comparisons: Sequence[Comparison]) -> str:
    """Return the whole study in one sentence, for its title."""
    relative = [each for each in comparisons if each.relative]
    if not relative:
        return "Nothing could be compared with a vanilla detector"
    x = np.concatenate([arm.auroc.value for each in relative for arm in each.arms.values()])
    return (
        f"Self-supervision helped on {words.percent(float((x > 0).mean()))} and hurt on "
        f"{words.percent(float((x < 0).mean()))} of {words.count(len(x))} pairs of augmentation and task"
    )
