"""From rows to the numbers that are claimed: means, intervals clustered by normal set, and the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from bank import FAMILIES

from feint.core.streams import numpy_stream
from feint.stats.cluster_bootstrap import cluster_mean
from feint.stats.wilcoxon import signed_rank

TASK = ["data", "normal", "task", "share"]


def by_task(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of every number over seeds and draws, a row for each task and share."""
    numbers = [name for name in rows.columns if pd.api.types.is_numeric_dtype(rows[name]) and name not in TASK]
    return rows.groupby(TASK)[[name for name in numbers if name not in {"seed", "draw"}]].mean().reset_index()


def interval(values: pd.Series[float], tasks: pd.DataFrame) -> str:
    """Return the mean over tasks with its 95 % interval, clustered by normal set."""
    clusters = zip(tasks["data"], tasks["normal"], strict=True)
    found = cluster_mean(values.to_numpy(), clusters, generator=numpy_stream(0, "intervals"))
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def choice_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return, per share, what the choice, the default, a random setting and the best of the grid reach."""
    tasks = by_task(rows)
    table = []
    for share, each in tasks.groupby("share", sort=False):
        regret = each["best"] - each["answer"]
        arms = [f"{kind}-{family}" for kind in ("rs", "rd") for family in FAMILIES]
        arm = max(arms, key=lambda name, each=each: each[name].mean())
        table.append(
            {
                "anomalies in the pool": f"{share:.0%}",
                "tasks": len(each),
                "best of the grid (needs labels)": f"{each['best'].mean():.3f}",
                "feint's answer": f"{each['answer'].mean():.3f}",
                "fixed default": f"{each['auroc:mixture'].mean():.3f}",
                "random setting": f"{each['random'].mean():.3f}",
                "none": f"{each['auroc:none'].mean():.3f}",
                "highest criterion, no default": f"{each['highest'].mean():.3f}",
                "rival (pool-probe)": f"{each['auroc:pool-probe'].mean():.3f}",
                "regret": interval(regret, each),
                "regret of a random setting": interval(each["best"] - each["random"], each),
                "answer - default": interval(each["answer"] - each["auroc:mixture"], each),
                "answer - best random augmentation": f"{interval(each['answer'] - each[arm], each)}, {arm}",
            }
        )
    return pd.DataFrame(table)


def by_set(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean AUROCs per normal set and share."""
    tasks = by_task(rows)
    columns = {
        "best": "best of the grid", "answer": "answer", "auroc:mixture": "default", "random": "random setting",
        "auroc:none": "none", "auroc:autoencoder": "autoencoder", "auroc:pool-probe": "rival",
    }  # fmt: skip
    return (
        tasks.groupby(["data", "normal", "share"], sort=False)[list(columns)].mean().rename(columns=columns).round(3)
    ).reset_index()


def harm(rows: pd.DataFrame, *, draws: int = 1000) -> pd.DataFrame:
    """Return on how many tasks the answer is worse than `none` beyond doubt: paired bootstrap over seeds and draws."""
    found = []
    chance = numpy_stream(0, "harm")
    for (*_, share), each in rows.groupby(TASK, sort=False):
        gap = (each["answer"] - each["auroc:none"]).to_numpy()
        means = gap[chance.integers(len(gap), size=(draws, len(gap)))].mean(axis=1)
        found.append({"share": share, "worse": gap.mean() < 0, "beyond doubt": float(np.quantile(means, 0.975)) < 0})
    table = pd.DataFrame(found).groupby("share", sort=False).mean()
    return table.map(lambda value: f"{value:.0%}").reset_index()


def against_random(rows: pd.DataFrame) -> pd.DataFrame:
    """Return, per family and share, the tuned setting against the better of random static and random dynamic."""
    tasks, table = by_task(rows), []
    for share, each in tasks.groupby("share", sort=False):
        for family in FAMILIES:
            best = max((f"rs-{family}", f"rd-{family}"), key=lambda name, each=each: each[name].mean())
            gap = each[f"auroc:{family}"] - each[best]
            test = signed_rank(gap.to_numpy())
            table.append(
                {
                    "anomalies in the pool": f"{share:.0%}", "family": family, "baseline": best[:2].upper(),
                    "tuned": f"{each[f'auroc:{family}'].mean():.3f}", "random": f"{each[best].mean():.3f}",
                    "tuned - random": interval(gap, each), "one-sided Wilcoxon p": f"{test.greater:.2g}",
                }
            )  # fmt: skip
    return pd.DataFrame(table)


def criterion_table(rows: pd.DataFrame, *, shift: str = "none") -> pd.DataFrame:
    """Return, per criterion, mean regret, rank correlation with the AUROC and share of tasks worse than `none`."""
    mine = rows[rows["shift"] == shift]
    wide = mine.pivot_table(
        index="criterion", columns="share", values=["regret", "correlation", "worse_than_none"], sort=False
    ).round(3)
    wide.columns = [f"{name} at {share:.0%}" for name, share in wide.columns]
    return wide.sort_values(next(iter(wide.columns))).reset_index()


def markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown."""
    head = "| " + " | ".join(map(str, table.columns)) + " |\n|" + "---|" * len(table.columns) + "\n"
    return head + "".join("| " + " | ".join(map(str, row)) + " |\n" for row in table.itertuples(index=False))


def page(choices: pd.DataFrame, criteria: pd.DataFrame, out: Path) -> str:
    """Write the tables as CSV into `out` and return the page."""
    out.mkdir(parents=True, exist_ok=True)
    random = criteria.groupby("share", sort=False)["random"].mean()
    parts = {
        "What choosing without labels reaches": choice_table(choices),
        "Per normal set": by_set(choices),
        "Worse than no training": harm(choices),
        "Tuned against random, family by family": against_random(choices),
        "Criteria": criterion_table(criteria),
        "Criteria where the pool is brighter than the normal images": criterion_table(criteria, shift="brighter"),
        "Criteria where the pool is moved by two pixels": criterion_table(criteria, shift="moved"),
    }
    for name, table in parts.items():
        table.to_csv(out / f"{'-'.join(name.lower().replace(',', '').split())}.csv", index=False)
    note = ", ".join(f"{value:.3f} at {share:.0%}" for share, value in random.items())
    body = "\n".join(f"## {name}\n\n{markdown(table)}" for name, table in parts.items())
    sets = choices[["data", "normal"]].drop_duplicates()
    head = (
        "# The self-tuning experiment: tables\n\n"
        f"`make selftune DATA=FOLDER`: {len(sets)} normal sets, {choices['seed'].nunique()} seed(s), "
        f"{choices['draw'].nunique()} draws of each pool. Half of the test images may be in a pool, the other half "
        "judges. The grid, the same for all: every point of six landscapes, each augmentation random static (RS) and "
        "random dynamic (RD), and none. Intervals are 95 % bootstraps over normal sets. The answer is made of the "
        "detectors as they were weighed; `feint tune` trains them once more, longer, and adds the tiles.\n\n"
    )
    return head + f"Regret of a random setting among those that criteria choose from: {note}.\n\n{body}"
