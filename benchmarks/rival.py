"""Is learning from the unlabelled images better than tuned augmentation? Out-of-fold AUROC at several shares.

For each task, a quarter of the normal images is held out; the pool is the normal test images and as many anomalous ones
as the share says. What learns from the pool is cross-fitted; what does not is fitted once per set and scores the same
pool. Labels judge, they never choose.

Arms: classifier = `PoolClassifier` end to end, with a non-negative risk that takes 90 % of the pool for normal, and
without a prior; probe = `PoolProbe` on the untrained encoder; cutdiff = `Discriminator` with CutDiff over its whole
range; none = the same on the untrained encoder. A pool holds at least two anomalies, whatever the share.

Run: python benchmarks/rival.py --mvtec DIR [DIR ...] --digits mnist.npz [--tasks 1] [--folds 3] [--seed 0]
DIR: MVTec-style categories; each defect folder is a task. --tasks: at most so many of each set, evenly spaced.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from feint.augmentations import CutDiff
from feint.augmentations.policies import whole_range
from feint.core.detector import Scorer, as_unit
from feint.core.streams import numpy_stream
from feint.data import decode, open_images, plan_preprocessing, survey
from feint.detectors import Discriminator, PoolClassifier, PoolProbe
from feint.detectors.cross_fitting import cross_fitted
from feint.metrics.roc import auroc

SHARES = (0.5, 0.1, 0.05)
RIVALS = {
    "probe": PoolProbe(),
    "classifier": PoolClassifier(),
    "classifier, no prior": PoolClassifier(prior=None),
}
STEPS = 400


@dataclass(frozen=True)
class Group:
    """One set: its normal images, and pairs of normal and anomalous images by task; uint8 (n, c, h, w)."""

    name: str
    normals: np.ndarray
    tasks: dict[str, tuple[np.ndarray, np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mvtec", type=Path, nargs="*", default=[])
    parser.add_argument("--digits", type=Path)
    parser.add_argument("--tasks", type=int, default=1)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[float, dict[str, list[float]]] = {share: defaultdict(list) for share in SHARES}
    seconds: dict[str, float] = defaultdict(float)
    names = []
    for group in (*_folders(options.mvtec), *_digits(options.digits, options.seed)):
        names.append(group.name)
        values = _compare(group, options, seconds)
        for share, arms in values.items():
            for arm, aurocs in arms.items():
                found[share][arm].append(float(np.mean(aurocs)))
            print(group.name, share, {arm: round(of[-1], 3) for arm, of in found[share].items()}, flush=True)
    print(f"\n| anomalies | arm | {' | '.join(names)} | mean |\n|{'---|' * (len(names) + 3)}")
    for share, arms in found.items():
        for arm, values in arms.items():
            print(f"| {share:.0%} | {arm} | " + " | ".join(f"{v:.3f}" for v in (*values, np.mean(values))) + " |")
    print("\nCPU seconds in all:", {arm: round(spent) for arm, spent in seconds.items()})


def _folders(folders: list[Path]) -> Iterator[Group]:
    for folder in folders:
        plan = plan_preprocessing(survey(open_images(folder / "train" / "good", role="normal")), image_size=64)
        pixels = lambda path: decode(open_images(path, role="unlabelled"), [plan], workers=2).pixels[0]  # noqa: B023, E731
        good = pixels(folder / "test" / "good")
        defects = sorted(each for each in (folder / "test").iterdir() if each.name != "good")
        tasks = {each.name: (good, pixels(each)) for each in defects}
        yield Group(folder.name, pixels(folder / "train" / "good"), tasks)


def _digits(path: Path | None, seed: int) -> Iterator[Group]:
    if path is None:
        return
    data, chance = np.load(path), numpy_stream(seed, "digits")
    pick = lambda part, digit, n: chance.permutation(data[f"x_{part}"][data[f"y_{part}"] == digit])[:n][:, None]  # noqa: E731
    for digit in (2, 6):
        good = pick("test", digit, 300)
        tasks = {f"{digit}-{other}": (good, pick("test", other, 300)) for other in (0, 1, 3, 7, 9)}
        yield Group(f"digit {digit}", pick("train", digit, 1000), tasks)


def _compare(
    group: Group, options: argparse.Namespace, seconds: dict[str, float]
) -> dict[float, dict[str, list[float]]]:
    """Return AUROCs by share and arm, one for each task; adds the CPU seconds of each arm."""
    order = numpy_stream(options.seed, "split").permutation(len(group.normals))
    held_out, normals = (torch.from_numpy(group.normals[part]) for part in np.split(order, [len(order) // 4]))
    aurocs: dict[float, dict[str, list[float]]] = {share: defaultdict(list) for share in SHARES}
    fixed = {}
    for arm, policy in (("cutdiff", whole_range(CutDiff())), ("none", None)):
        start = time.process_time()
        fixed[arm] = Discriminator(steps=STEPS).fit(normals, policy=policy, seed=options.seed)
        seconds[arm] += time.process_time() - start
    tasks = list(group.tasks)
    for i in np.linspace(0, len(tasks) - 1, min(options.tasks, len(tasks))).round().astype(int):
        good, bad = group.tasks[tasks[i]]
        bad = numpy_stream(options.seed, "pool", tasks[i]).permutation(bad)
        for share in SHARES:
            wanted = min(len(bad), max(2, round(len(good) * share / (1 - share))))
            pool = torch.from_numpy(np.concatenate([good, bad[:wanted]]))
            truth = np.repeat([0, 1], [len(good), wanted])
            for arm, rival in RIVALS.items():
                start = time.process_time()
                fitted = cross_fitted(rival, normals, pool, held_out, folds=options.folds, seed=options.seed)
                seconds[arm] += time.process_time() - start
                aurocs[share][arm].append(_auroc(fitted.pool, truth))
            for arm, scorer in fixed.items():
                aurocs[share][arm].append(_auroc(_scores(scorer, pool), truth))
    return aurocs


@torch.no_grad()
def _scores(scorer: Scorer, images: Tensor) -> Tensor:
    return torch.cat([scorer(as_unit(chunk)) for chunk in torch.split(images, 64)])


def _auroc(scores: Tensor, truth: np.ndarray) -> float:
    return auroc(scores[truth == 0].numpy(), scores[truth == 1].numpy())


if __name__ == "__main__":
    main()
