"""Augmentations named by a value, such as `cutout-0.1` and `cutout-0.3`, drawn as one curve."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from feint.report.study import charts
from feint.report.study.analysis import Comparison
from feint.report.study.downloads import Download, download

if TYPE_CHECKING:
    from feint.stats.clusters import ClusterInterval

OUTLIER_EXPOSURE = "oe"
MOST_KINDS = 4
VALUED = re.compile(r"(?P<base>.+)-(?P<value>\d+(?:\.\d+)?)")


@final
@dataclass(frozen=True)
class Sweep:
    """The curves of one augmentation's value in one comparison: a chart for each kind of anomaly, or one for all."""

    title: str
    charts: list[charts.Sweep]
    file: Download


def values_of(names: list[str]) -> dict[str, dict[float, str]]:
    """Return for each augmentation that was run with at least two values the full name by value, in rising order.

    Example:
        >>> values_of(["cutout-0.3", "cutout", "cutout-0.1", "mask-0.5", "oe-1", "oe-2"])
        {'cutout': {0.1: 'cutout-0.1', 0.3: 'cutout-0.3'}}
    """
    found: dict[str, dict[float, str]] = {}
    for name in names:
        if (match := VALUED.fullmatch(name)) and match["base"] != OUTLIER_EXPOSURE:
            found.setdefault(match["base"], {})[float(match["value"])] = name
    return {base: dict(sorted(values.items())) for base, values in found.items() if len(values) > 1}


def sweeps(comparison: Comparison) -> list[Sweep]:
    """Return the sweeps of one comparison; none where there is nothing to be relative to."""
    if not comparison.relative:
        return []
    kinds = sorted(comparison.tasks["anomaly"].unique()) if comparison.testbed == "controlled" else []
    wanted = [{"anomaly": kind} for kind in kinds] if 1 < len(kinds) <= MOST_KINDS else [{}]
    return [_sweep(comparison, base, values, wanted) for base, values in values_of(list(comparison.arms)).items()]


def _sweep(comparison: Comparison, base: str, values: Mapping[float, str], wanted: list[dict[str, str]]) -> Sweep:
    import pandas as pd

    curves: dict[str, charts.Curve] = {}
    rows = []
    for each in wanted:
        kind = each.get("anomaly", "all")
        means = {value: mean for value, name in values.items() if (mean := _mean(comparison, name, each))}
        if len(means) > 1:
            title = f"anomalies made by {kind}" if each else "all tasks"
            curves[title] = {value: mean[:3] for value, mean in means.items()}
        rows += [
            {"augmentation": base, "value": value, "anomaly": kind}
            | {"mean_relative_auroc": mean.value, "low": mean.low, "high": mean.high, "tasks": mean.tasks}
            for value, mean in means.items()
        ]
    title = f"{base}: {comparison.detector} on {comparison.testbed}, {', '.join(comparison.sets)}"
    file = download(pd.DataFrame(rows), "sweep", base, comparison.detector, comparison.testbed)
    return Sweep(title, charts.sweep_charts(curves), file)


def _mean(comparison: Comparison, name: str, wanted: Mapping[str, str]) -> ClusterInterval | None:
    arm = comparison.arms[name]
    part = arm.only(wanted) if wanted else arm
    return part.harm.mean if part else None
