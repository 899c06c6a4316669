"""What each rule would choose on many pools, and what labels say of it. Labels judge here; no rule sees one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bank import FAMILIES, BankJob, split
from numpy.typing import NDArray

from feint.core.detector import score_images
from feint.core.streams import numpy_stream
from feint.data.testbeds import NormalSet
from feint.detectors import PoolProbe
from feint.detectors.committee import unit_of
from feint.detectors.cross_fitting import cross_fitted
from feint.metrics.roc import auroc
from feint.runs.choosing import vote
from feint.tuning.criteria import CRITERIA, Evidence
from feint.tuning.search import smoothed
from feint.tuning.selection import select

SHARES = (0.5, 0.1, 0.02)
DRAWS = 3
SMALLEST = 4
SHIFTS = ("none", "brighter", "moved")
COMPARED = {"cutdiff": 12, "rotation": 6}
COSTLY = ("sinkhorn", "excess-mass", "mass-volume", "mmd-rbf")

Row = dict[str, Any]


@dataclass(frozen=True)
class Opened:
    """A bank read back, with the images it is about."""

    job: BankJob
    images: NormalSet
    arrays: dict[str, NDArray[np.generic]]
    others: tuple[dict[str, NDArray[np.generic]], ...]

    @property
    def names(self) -> list[str]:
        """Every setting that was trained or lies on a landscape."""
        return [key.removeprefix("test:") for key in self.arrays if key.startswith("test:")]

    @property
    def points(self) -> list[str]:
        """The settings on landscapes."""
        return [name for name in self.names if "@" in name]

    def scores(self, part: str, name: str) -> NDArray[np.float64]:
        """Return scores of a part of the images by a setting."""
        return np.asarray(self.arrays[f"{part}:{name}"], dtype=np.float64)


def opened(job: BankJob, store: Path, seeds: Sequence[int]) -> Opened:
    """Read a bank, and those of the other seeds."""
    read = lambda file: dict(np.load(store / file, allow_pickle=False))  # noqa: E731
    files = [BankJob(**{**job.__dict__, "seed": seed}).file for seed in seeds if seed != job.seed]
    return Opened(job, job.images(), read(job.file), tuple(read(file) for file in files if (store / file).exists()))


@dataclass(frozen=True)
class Pool:
    """Rows of the test images: normal and anomalous ones of the pool, and those left for judging."""

    task: str
    share: float
    draw: int
    normal: NDArray[np.intp]
    anomalous: NDArray[np.intp]
    judged_normal: NDArray[np.intp]
    judged_anomalous: NDArray[np.intp]

    @property
    def rows(self) -> NDArray[np.intp]:
        """The pool."""
        return np.concatenate([self.normal, self.anomalous])

    def auroc(self, scores: NDArray[np.float64]) -> float:
        """Return the AUROC on the images that are not in the pool."""
        return auroc(scores[self.judged_normal], scores[self.judged_anomalous])


def pools(images: NormalSet, *, draws: int = DRAWS) -> Iterator[Pool]:
    """Yield pools of every task and share: half of the images may be in them, the other half judges."""
    for task, rows in zip(images.tasks, images.pools, strict=True):
        normal, anomalous = rows[images.kinds[rows] == 0], rows[images.kinds[rows] != 0]
        for share in SHARES:
            for draw in range(draws):
                chance = numpy_stream(draw, "pool", images.data, images.normal, task.anomaly, str(share))
                n, a = chance.permutation(normal), chance.permutation(anomalous)
                half, most = len(n) // 2, len(a) // 2
                wanted = round(half * share / (1 - share))
                kept = half if wanted <= most else max(SMALLEST, round(most * (1 - share) / share))
                taken = min(most, max(1, wanted))
                yield Pool(task.anomaly, share, draw, n[:kept], a[:taken], n[half:], a[most:])


def choice_rows(bank: Opened) -> Iterator[Row]:
    """Yield what `feint tune` would choose from each pool, beside fixed answers and the best of the reference grid."""
    probe = Probe(bank)
    for pool in pools(bank.images):
        held, unlabelled, every = candidates(bank, pool)
        held["pool-probe"], unlabelled["pool-probe"], every["pool-probe"] = probe.scores(pool)
        names = list(held)
        found = select(
            np.stack(list(held.values())), np.stack(list(unlabelled.values())),
            defaults=[names.index("mixture")], seed=pool.draw, draws=300,
        )  # fmt: skip
        voters = [names[c] for c in found.voters]
        votes = voters + [name for name in voters if name == "mixture"]
        units = [unit_of(torch.from_numpy(held[name])) for name in votes]
        answer = vote([every[name] for name in votes], units)
        grid = {name: pool.auroc(bank.scores("test", name)) for name in reference(bank)}
        aurocs = {name: pool.auroc(every[name]) for name in names}
        a2 = {name: float(value) for name, value in zip(names, found.comparison.values, strict=True)}
        row = {
            "data": bank.images.data, "normal": bank.images.normal, "task": pool.task, "seed": bank.job.seed,
            "share": pool.share, "draw": pool.draw, "chosen": "+".join(voters), "decided": found.decided,
            "answer": pool.auroc(answer), "best": max(grid.values()), "random": float(np.mean(list(grid.values()))),
            "highest": aurocs[max(a2, key=a2.__getitem__)],
        }  # fmt: skip
        for family in FAMILIES:
            row |= {f"{kind}-{family}": grid[f"{kind}-{family}"] for kind in ("rd", "rs")}
        yield row | {f"auroc:{name}": value for name, value in aurocs.items()} | {f"a2:{n}": v for n, v in a2.items()}


def candidates(bank: Opened, pool: Pool) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return scores of held-out normals, of the pool and of all test images, by every candidate but the pool's own."""
    names = {name: name for name in ("none", "mixture", "autoencoder")}
    for family in FAMILIES:
        mine = [name for name in bank.points if name.startswith(f"{family}@")]
        values = [criterion_a2(bank, name, pool) for name in mine]
        encoded = torch.from_numpy(bank.arrays[f"encoded:{family}"])
        names[family] = mine[int(np.argmax(smoothed(encoded, values, at=encoded)))]
    every = {name: bank.scores("test", at) for name, at in names.items()}
    held = {name: bank.scores("held_out", at) for name, at in names.items()}
    return held, {name: scores[pool.rows] for name, scores in every.items()}, every


def criterion_a2(bank: Opened, name: str, pool: Pool) -> float:
    """Return the two-sample AUROC of one setting."""
    return auroc(bank.scores("held_out", name), bank.scores("test", name)[pool.rows])


def reference(bank: Opened) -> list[str]:
    """Return the settings of the reference grid: all points, every random augmentation, and none."""
    return [*bank.points, "none", *(f"{kind}-{family}" for kind in ("rd", "rs") for family in FAMILIES)]


class Probe:
    """The rival on one normal set: it learns from normal and unlabelled images directly, cross-fitted."""

    def __init__(self, bank: Opened) -> None:
        training, held_out = split(len(bank.images.train), bank.job.seed)
        self.seed = bank.job.seed
        train = torch.from_numpy(np.ascontiguousarray(bank.images.train))
        self.normals, self.held_out = train[torch.from_numpy(training)], train[torch.from_numpy(held_out)]
        self.test = torch.from_numpy(np.ascontiguousarray(bank.images.test))

    def scores(self, pool: Pool) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return scores of held-out normals, of the pool out of fold, and of all test images by all folds together."""
        folds = min(3, len(pool.rows))
        found = cross_fitted(
            PoolProbe(), self.normals, self.test[torch.from_numpy(pool.rows)], self.held_out, folds=folds,
            seed=self.seed,
        )  # fmt: skip
        judged = np.concatenate([pool.judged_normal, pool.judged_anomalous])
        every = np.full(len(self.test), np.nan)
        by_fold = [score_images(each, self.test[torch.from_numpy(judged)]) for each in found.scorers]
        units = [unit_of(score_images(each, self.held_out)) for each in found.scorers]
        every[judged] = vote([each.double().numpy() for each in by_fold], units)
        return found.held_out.double().numpy(), found.pool.double().numpy(), every


def criterion_rows(bank: Opened) -> Iterator[Row]:
    """Yield, for each criterion and pool, the regret of its choice among the points of the close families."""
    names = [f"{family}@{k}" for family, count in COMPARED.items() for k in range(count)]
    for pool in pools(bank.images, draws=1):
        truth = np.array([pool.auroc(bank.scores("test", name)) for name in names])
        none = pool.auroc(bank.scores("test", "none"))
        for shift in SHIFTS:
            evidence = [evidence_of(bank, name, pool, shift) for name in names]
            for key, criterion in CRITERIA.items():
                if shift != "none" and key in COSTLY:
                    continue
                values = criterion.values(evidence, seed=0)
                if np.isfinite(values).sum() < 2:
                    continue
                chosen = int(np.nanargmax(values))
                yield {
                    "data": bank.images.data, "normal": bank.images.normal, "task": pool.task, "seed": bank.job.seed,
                    "share": pool.share, "shift": shift, "criterion": key, "hidden": bank.job.hidden,
                    "regret": float(truth.max() - truth[chosen]), "correlation": correlation(values, truth),
                    "worse_than_none": bool(truth[chosen] < none), "random": float(truth.max() - truth.mean()),
                }  # fmt: skip


def evidence_of(bank: Opened, name: str, pool: Pool, shift: str) -> Evidence:
    """Return what a setting left behind, with the pool's images shifted or not."""
    part = "test" if shift == "none" else shift
    key = f"{name}"
    embedded = {each: bank.arrays[f"embedded-{each}:{key}"].astype(np.float64) for each in ("normal", "made", "test")}
    return Evidence(
        held_out=bank.scores("held_out", name),
        pool=bank.scores(part, name)[pool.rows],
        pseudo=bank.scores("pseudo", name),
        again=[np.asarray(other[f"{part}:{name}"], dtype=np.float64)[pool.rows] for other in bank.others],
        normal_embeddings=embedded["normal"],
        pseudo_embeddings=embedded["made"],
        pool_embeddings=embedded["test"][pool.rows] if shift == "none" else None,
    )


def correlation(values: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation over the settings where the criterion is defined; 0 where it is constant."""
    from scipy.stats import spearmanr

    known = np.isfinite(values)
    if np.ptp(values[known]) == 0 or np.ptp(truth[known]) == 0:
        return 0.0
    return float(spearmanr(values[known], truth[known]).statistic)
