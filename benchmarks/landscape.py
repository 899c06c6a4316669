"""Does one landscape stand for a grid of trainings? Its cost, its pick, and its curve against theirs.

For each set a quarter of the normal images is held out. One `LandscapeTuner` is trained, and one `Discriminator` at
each of 12 settings. All score the same images: held-out normals, and test images of which one half makes the pool and
the other half judges. In the pool the two-sample AUROC chooses; labels judge, they never choose.

Columns, AUROC on the images that judge: grid best = the best of the 12 trainings; grid pick = the one of them that the
criterion chooses; landscape = the conditioned detector where the smoothed criterion is highest; ascended = the same,
with the end of the gradient ascent among what may be chosen; trained = a `Discriminator` trained at that setting (at
50 % anomalies only); random = the mean of the 12. rank = Spearman's correlation, over the 12 settings, of the AUROC on
the landscape and after a training of its own; search = processor time of smoothing and ascent, in plain trainings.

Run: python benchmarks/landscape.py --digits mnist.npz --mvtec DIR [DIR ...] [--steps 150] [--seeds 1] [--tasks 3]
Digits: 2 and 6 against two digits each under rotation; an npz with x_train, y_train, x_test, y_test. DIR: MVTec-style
categories under CutDiff at 64 px; each of at most `tasks` defect folders is a task.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sklearn.covariance  # noqa: F401  (here, so that its import is charged to nobody)
import torch
from torch import Tensor

from feint.augmentations import CutDiff, Rotation
from feint.augmentations.policies import whole_range
from feint.core.augmentation import Augmentation, Policy
from feint.core.detector import as_unit
from feint.core.streams import numpy_stream
from feint.data import decode, open_images, plan_preprocessing, survey
from feint.detectors import Discriminator
from feint.metrics.roc import auroc
from feint.metrics.two_sample import two_sample_auroc
from feint.stats.cluster_bootstrap import cluster_mean
from feint.stats.correlation import rank_correlation
from feint.tuning.landscape import Landscape, LandscapeTuner
from feint.tuning.search import ASCENT, DENSE, smoothed

SHARES = (0.5, 0.1)
RETRAINED = 0.5
POINTS = 32
DIGITS = {2: (5, 7), 6: (0, 9)}
GRIDS: dict[str, list[tuple[float, ...]]] = {
    "rotation": [(float(angle),) for angle in range(15, 360, 30)],
    "cutdiff": [(a, 0.6, 45.0, b) for a in (0.006, 0.025, 0.1) for b in (-0.6, -0.2, 0.2, 0.6)],
}
COLUMNS = ("grid best", "grid pick", "landscape", "ascended", "trained", "random")


@dataclass(frozen=True)
class Group:
    """One set: normal images, normal test images, anomalous ones by task; uint8 (n, c, h, w)."""

    name: str
    augmentation: Augmentation
    normals: Tensor
    good: Tensor
    tasks: dict[str, Tensor]


@dataclass(frozen=True)
class Split:
    """Rows of a task's test images: normal and anomalous ones of the pool, and those that judge."""

    pool: tuple[np.ndarray, np.ndarray]
    judges: tuple[np.ndarray, np.ndarray]


class Bench:
    """One set with one seed: everything is trained once and scores all images."""

    def __init__(self, group: Group, steps: int, seed: int) -> None:
        order = torch.from_numpy(numpy_stream(seed, "split", group.name).permutation(len(group.normals)))
        held, kept = order.split([len(order) // 4, len(order) - len(order) // 4])
        self.group, self.steps, self.seed = group, steps, seed
        self.normals = group.normals[kept]
        self.sets = {"held out": group.normals[held], "good": group.good} | group.tasks
        tuner, policy = LandscapeTuner(steps=steps), whole_range(group.augmentation)
        start = time.process_time()
        self.landscape: Landscape = tuner.fit(self.normals, policy=policy, seed=seed)
        self.training = time.process_time() - start
        self.points = self.landscape.points(POINTS, seed=seed)
        self.at_points = [self.on_landscape(each) for each in self.points]
        self.cost = time.process_time() - start
        start = time.process_time()
        self.grid = [self.trained(torch.tensor(each)) for each in GRIDS[group.augmentation.name]]
        self.plain = (time.process_time() - start) / len(self.grid)
        self.on_grid = [self.on_landscape(torch.tensor(each)) for each in GRIDS[group.augmentation.name]]

    def on_landscape(self, setting: Tensor) -> dict[str, np.ndarray]:
        """Return the scores of every set at a setting (m,) of the landscape."""
        found = self.landscape.scores(setting, self.normals, list(self.sets.values()))
        return {name: each.pooled.numpy() for name, each in zip(self.sets, found, strict=True)}

    def trained(self, setting: Tensor) -> dict[str, np.ndarray]:
        """Return the scores of every set by a detector trained at a setting (m,)."""
        fixed = tuple(setting.tolist())
        policy = Policy(augmentation=self.group.augmentation, low=fixed, high=fixed)
        scorer = Discriminator(steps=self.steps).fit(self.normals, policy=policy, seed=self.seed)
        with torch.no_grad():
            return {
                name: torch.cat([scorer(as_unit(chunk)) for chunk in torch.split(images, 64)]).numpy()
                for name, images in self.sets.items()
            }

    def split(self, task: str, share: float) -> Split:
        """Return which images make the pool and which judge: halves; the pool holds two anomalies or more."""
        chance = numpy_stream(self.seed, "pool", self.group.name, task)
        (good, good_judges), (bad, bad_judges) = (
            np.array_split(chance.permutation(len(self.sets[name])), 2) for name in ("good", task)
        )
        wanted = min(len(bad), max(2, round(len(good) * share / (1 - share))))
        return Split((good, bad[:wanted]), (good_judges, bad_judges))

    def row(self, task: str, share: float) -> dict[str, float]:
        """Return every column of one task."""
        split = self.split(task, share)
        judged = lambda scores: auroc(*(scores[name][i] for name, i in zip(("good", task), split.judges, strict=True)))  # noqa: E731
        pooled = lambda scores: np.concatenate(  # noqa: E731
            [scores[name][i] for name, i in zip(("good", task), split.pool, strict=True)]
        )
        criterion = lambda scores: two_sample_auroc(pooled(scores), scores["held out"])  # noqa: E731
        grid = np.array([judged(each) for each in self.grid])
        start = time.process_time()
        settings, scores, values = list(self.points), list(self.at_points), [criterion(x) for x in self.at_points]
        dense, encode = self.landscape.points(DENSE, seed=self.seed + 1), self.landscape.network.encode
        top = dense[int(smoothed(encode(self.points), values, at=encode(dense)).argmax())]
        pool = torch.cat([self.sets[name][i] for name, i in zip(("good", task), split.pool, strict=True)])
        end = self.landscape.ascend(top, self.sets["held out"], pool, steps=ASCENT, seed=self.seed)
        picks = []
        for setting in (top, end):
            settings.append(setting)
            scores.append(self.on_landscape(setting))
            values.append(criterion(scores[-1]))
            encoded = encode(torch.stack(settings))
            picks.append(int(smoothed(encoded, values, at=encoded).argmax()))
        search = time.process_time() - start
        found = {
            "grid best": grid.max(),
            "grid pick": grid[int(np.argmax([criterion(each) for each in self.grid]))],
            "landscape": judged(scores[picks[0]]),
            "ascended": judged(scores[picks[1]]),
            "random": grid.mean(),
            "rank": _spearman(grid, np.array([judged(each) for each in self.on_grid])),
            "search": search / self.plain,
        }
        if share == RETRAINED:
            found["trained"] = judged(self.trained(settings[picks[1]]))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digits", type=Path)
    parser.add_argument("--mvtec", type=Path, nargs="*", default=[])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[float, list[tuple[str, str, dict[str, float]]]] = defaultdict(list)
    costs: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for seed in range(options.seeds):
        for group in (*_digits(options.digits, seed), *_folders(options.mvtec, options.tasks)):
            bench = Bench(group, options.steps, seed)
            costs[group.name].append((bench.plain, bench.training / bench.plain, bench.cost / bench.plain))
            for task in group.tasks:
                for share in SHARES:
                    row = bench.row(task, share)
                    rows[share].append((f"{group.name}, {seed}", f"{group.name}: {task}", row))
                    print(group.name, seed, task, share, {each: round(float(row[each]), 3) for each in row}, flush=True)
    _print_costs(costs)
    for share, of in rows.items():
        _print_table(share, of)
    print(f"\nprocessor time in all: {time.process_time() / 60:.1f} min")


def _digits(path: Path | None, seed: int) -> Iterator[Group]:
    if path is None:
        return
    data, chance = np.load(path), numpy_stream(seed, "digits")

    def pick(part: str, digit: int, n: int) -> Tensor:
        images = data[f"x_{part}"][data[f"y_{part}"] == digit]
        return torch.from_numpy(chance.permutation(images)[:n][:, None])

    for digit, others in DIGITS.items():
        tasks = {str(other): pick("test", other, 300) for other in others}
        yield Group(f"digit {digit}", Rotation(), pick("train", digit, 400), pick("test", digit, 300), tasks)


def _folders(folders: list[Path], most: int) -> Iterator[Group]:
    for folder in folders:
        plan = plan_preprocessing(survey(open_images(folder / "train" / "good", role="normal")), image_size=64)

        def pixels(path: Path) -> Tensor:
            return torch.from_numpy(decode(open_images(path, role="unlabelled"), [plan], workers=1).pixels[0])  # noqa: B023

        defects = sorted(each for each in (folder / "test").iterdir() if each.name != "good")[:most]
        normals, good = pixels(folder / "train" / "good"), pixels(folder / "test" / "good")
        yield Group(folder.name, CutDiff(), normals, good, {each.name: pixels(each) for each in defects})


def _print_costs(costs: dict[str, list[tuple[float, float, float]]]) -> None:
    print(
        "\n| set | one training and its scores, s | landscape: training | with scores at 32 points |\n|---|---|---|---|"
    )
    for name, of in costs.items():
        plain, training, cost = np.mean(of, axis=0)
        print(f"| {name} | {plain:.1f} | {training:.2f} | {cost:.2f} |")


def _print_table(share: float, rows: list[tuple[str, str, dict[str, float]]]) -> None:
    columns = [each for each in COLUMNS if each in rows[0][2]]
    print(f"\n{share:.0%} of the pool anomalous\n\n| task | {' | '.join(columns)} | rank | search |")
    print("|---|" + "---|" * (len(columns) + 2))
    for task in dict.fromkeys(task for _, task, _ in rows):
        of = [row for _, name, row in rows if name == task]
        means = [np.mean([row[each] for row in of]) for each in (*columns, "rank", "search")]
        print(f"| {task} | " + " | ".join(f"{each:.3f}" for each in means) + " |")
    clusters = [cluster for cluster, _, _ in rows]
    print(f"\nbehind the best of the grid, mean over {len(rows)} tasks and seeds (95 % interval over sets and seeds):")
    for column in columns[1:]:
        gaps = [row["grid best"] - row[column] for _, _, row in rows]
        interval = cluster_mean(gaps, clusters, generator=numpy_stream(0, "intervals"))
        print(f"  {column}: {interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})")


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    return rank_correlation(x, y, range(len(x)), generator=numpy_stream(0, "rank")).value


if __name__ == "__main__":
    main()
