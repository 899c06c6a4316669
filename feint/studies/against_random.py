"""The hypothesis that tuned magnitudes beat random ones: the tuned arm against the best random one of its family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feint.augmentations.policies import RANDOM_DYNAMIC, RANDOM_STATIC
from feint.core.streams import numpy_stream
from feint.records.study import Finding
from feint.stats.cluster_bootstrap import cluster_mean
from feint.stats.wilcoxon import signed_rank
from feint.studies.findings import DRAWS, above_zero, between, signed, silent, told, where
from feint.studies.plan import Hypothesis

if TYPE_CHECKING:
    import pandas as pd

TUNED_BEATS_RANDOM = "tuned-beats-random"
PAIR = ["task", "seed"]


def beats_random(hypothesis: Hypothesis, rows: pd.DataFrame) -> Finding:
    """Return what the rows of a study say of a tuned detector against random magnitudes of the same augmentation.

    For each augmentation A that it tunes, its opponent is the arm with `rs-A` or `rd-A`, of whatever detector, with the
    highest mean AUROC over the tasks that all of them have finished. The value is the mean difference over tasks, seeds
    averaged first, its interval a bootstrap over (data set, normal class). Beside it stands the one-sided p of
    Wilcoxon's signed-rank test over tasks x seeds, as the literature reports it: it counts one normal class many times.

    Fails when: the opponent is chosen on the tasks on which it is then compared; of two about equally good ones the
    luckier is taken, to the disadvantage of the tuned arm.
    References: Yoo, Zhao, Akoglu (KDD 2025), arXiv:2306.12033, section 5, for the baselines and the test.
    """
    import pandas as pd

    title = f"{where(hypothesis)}: tuned magnitudes beat random ones of the same augmentation"
    done = rows[(rows["status"] == "done") & (rows["metric"] == "auroc")]
    if hypothesis.data:
        done = done[done["data"].isin(hypothesis.data)]
    tuned = done[done["detector"] == hypothesis.detector]
    found = [_against_best(mine, done, str(family)) for family, mine in tuned.groupby("augmentation")]
    pairs = pd.concat(found) if found else pd.DataFrame()
    if pairs.empty:
        return silent(title, "no task was finished by the tuned arm and by random ones of the same augmentation")
    tasks = pairs.groupby("task", as_index=False).agg({"difference": "mean", "data": "first", "normal": "first"})
    clusters = list(zip(tasks["data"], tasks["normal"], strict=True))
    interval = cluster_mean(
        tasks["difference"].to_numpy(), clusters, draws=DRAWS, generator=numpy_stream(0, TUNED_BEATS_RANDOM)
    )
    p = signed_rank(pairs["difference"].to_numpy()).greater
    opponents = " and ".join(dict.fromkeys(pairs["opponent"]))
    sentence = (
        f"Tuned magnitudes change the AUROC by {signed(interval.value)} against {opponents}, the best random ones "
        f"{between(interval)}. Wilcoxon's one-sided p over {len(pairs)} pairs of task and seed, which counts one "
        f"normal class many times: {f'{p:.3f}' if p >= 0.0005 else 'below 0.001'}."
    )
    return told(title, interval, above_zero(interval), sentence)


def _against_best(tuned: pd.DataFrame, done: pd.DataFrame, family: str) -> pd.DataFrame:
    """Return the rows of a tuned arm with their difference from its best random opponent; none without opponents."""
    arms = done[done["augmentation"].isin([f"{RANDOM_STATIC}{family}", f"{RANDOM_DYNAMIC}{family}"])]
    wide = arms.pivot_table(index=PAIR, columns=["detector", "augmentation"], values="value").dropna()
    both = tuned.merge(wide.index.to_frame(index=False), on=PAIR)
    if both.empty:
        return both
    opponents = wide.loc[list(zip(both["task"], both["seed"], strict=True))]
    best = int(opponents.groupby("task").mean().mean().argmax())
    return both.assign(
        difference=both["value"].to_numpy() - opponents.iloc[:, best].to_numpy(),
        opponent=" with ".join(opponents.columns[best]),
    )
