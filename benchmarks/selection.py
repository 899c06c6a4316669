"""How much is lost by choosing without labels? Regret of criteria and rules, at several shares of anomalies.

For each task, detectors are trained with eleven augmentation settings; each gives four scores. Every rule chooses one
of these candidates from held-out normals and an unlabelled pool; the AUROC of the choice is compared with the best.

Rules: a2 = two-sample AUROC over all candidates; a2 (pooled) = over the pooled scores alone; default = the pooled one
unless another is better beyond doubt (what `feint tune` does); evidence, excess_95, variance (S) likewise over all;
committee = mean score of at most three pooled candidates that cannot be told apart; random = the mean candidate.

Run: python benchmarks/selection.py --mvtec DIR [DIR ...] --digits mnist.npz [--seeds 1] [--out bank.json]
DIR: MVTec-style categories; each defect folder is a task. Labels judge, they never choose.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from feint.core.detector import as_unit
from feint.core.streams import numpy_stream
from feint.data import decode, open_images, plan_preprocessing, survey
from feint.detectors import Discriminator
from feint.detectors.discriminator import SCORES
from feint.metrics.roc import auroc
from feint.metrics.two_sample import excess, mean_evidence, score_variance, two_sample_auroc
from feint.runs.jobs import Making, whole_range
from feint.stats.delong import delong

SHARES = (0.5, 0.1, 0.03)
DRAWS = 5
CUTDIFF = {"area": (0.003, 0.4), "aspect": (0.15, 1.0), "angle": (0.0, 180.0)}
SMALL, LARGE = {"area": (0.003, 0.03)}, {"area": (0.03, 0.4)}
SETTINGS = {
    "none": Making(augmentation="none", ranges={}),
    **{
        f"cutdiff {colour} {name}".strip(): Making(
            augmentation="cutdiff", ranges=CUTDIFF | area | {"amplitude": amplitude}
        )
        for colour, amplitude in (("dark", (0.05, 1.0)), ("bright", (-1.0, -0.05)))
        for name, area in (("", {}), ("small", SMALL), ("large", LARGE))
    },
    "cutdiff": whole_range("cutdiff"),
    **{name: whole_range(name) for name in ("cutout", "cutpaste", "rotation")},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mvtec", type=Path, nargs="*", default=[])
    parser.add_argument("--digits", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, dict[str, list[float]]] = {str(share): defaultdict(list) for share in SHARES}
    for seed in range(options.seeds):
        for name, normals, pools in _groups(options, seed):
            for task, rows, truth in _candidates(normals, pools, options.steps, seed):
                for share in SHARES:
                    for rule, value in _rules(rows, truth, share, seed).items():
                        found[str(share)][rule].append(value)
                print(name, task, {rule: round(v[-1], 3) for rule, v in found["0.5"].items()}, flush=True)
    print(f"\n| share of anomalies | tasks x draws | {' | '.join(found['0.5'])} |")
    for share, rules in found.items():
        print(f"| {share} | {len(rules['best'])} | " + " | ".join(f"{np.mean(v):.3f}" for v in rules.values()) + " |")
    if options.out:
        options.out.write_text(json.dumps(found), encoding="utf-8")


def _groups(
    options: argparse.Namespace, seed: int
) -> Iterator[tuple[str, np.ndarray, dict[str, tuple[np.ndarray, np.ndarray]]]]:
    for folder in options.mvtec:
        images = open_images(folder / "train" / "good", role="normal")
        plan = plan_preprocessing(survey(images), image_size=64)
        pixels = lambda path: decode(open_images(path, role="unlabelled"), [plan], workers=2).pixels[0]  # noqa: B023, E731
        good = pixels(folder / "test" / "good")
        defects = sorted(each for each in (folder / "test").iterdir() if each.name != "good")
        yield folder.name, pixels(folder / "train" / "good"), {each.name: (good, pixels(each)) for each in defects}
    if options.digits:
        data, chance = np.load(options.digits), numpy_stream(seed, "digits")
        pick = lambda part, digit, n: chance.permutation(data[f"x_{part}"][data[f"y_{part}"] == digit])[:n][:, None]  # noqa: E731
        for digit in (2, 6):
            good = pick("test", digit, 300)
            others = {f"{digit}-{other}": (good, pick("test", other, 300)) for other in (0, 1, 3, 7, 9)}
            yield "digits", pick("train", digit, 1000), others


def _candidates(normals, pools, steps, seed):
    """Yield, per task, rows (setting, score, held-out scores, pool scores) and the truth of the pool."""
    order = numpy_stream(seed, "split").permutation(len(normals))
    held, training = normals[order[: len(order) // 4]], normals[order[len(order) // 4 :]]
    rows = {task: [] for task in pools}
    for name, making in SETTINGS.items():
        scorer = Discriminator(steps=steps).fit(torch.from_numpy(training), policy=making.policy(), seed=seed)
        h = _scores(scorer, held)
        for task, (good, bad) in pools.items():
            u = _scores(scorer, np.concatenate([good, bad]))
            rows[task] += [(name, score, h[score], u[score]) for score in SCORES]
    for task, (good, bad) in pools.items():
        yield task, rows[task], np.repeat([0, 1], [len(good), len(bad)])


@torch.no_grad()
def _scores(scorer, images):
    found = [scorer.all_scores(as_unit(torch.from_numpy(images[i : i + 64]))) for i in range(0, len(images), 64)]
    return {score: torch.cat([each[score] for each in found]).numpy() for score in SCORES}


def _rules(rows, truth, share, seed):
    """Return the AUROC of what each rule chooses, the mean over draws of pools with this share of anomalies."""
    labelled = np.array([auroc(u[truth == 0], u[truth == 1]) for _, _, _, u in rows])
    pooled = np.array([score == "pooled" for _, score, _, _ in rows])
    found = defaultdict(list)
    for draw in range(DRAWS):
        chance = numpy_stream(seed, "pool", draw, str(share))
        normal, anomalous = np.flatnonzero(truth == 0), np.flatnonzero(truth == 1)
        wanted = min(len(anomalous), max(2, round(len(normal) * share / (1 - share))))
        pool = np.concatenate([normal, chance.permutation(anomalous)[:wanted]])
        held, scores = np.stack([h for _, _, h, _ in rows]), np.stack([u[pool] for _, _, _, u in rows])
        compared = delong(held, scores)
        a2, c = np.asarray(compared.aurocs), np.asarray(compared.covariance)
        best, usual = int(a2.argmax()), int(np.where(pooled, a2, -1).argmax())
        sd = np.sqrt(np.maximum(c.diagonal()[best] + c.diagonal()[usual] - 2 * c[best, usual], 1e-12))
        chosen = best if (a2[best] - a2[usual]) / sd > 1.96 else usual
        found["best"].append(labelled.max())
        found["a2"].append(labelled[best])
        found["a2 (pooled)"].append(labelled[usual])
        found["default"].append(labelled[chosen])
        found["committee"].append(_committee(rows, truth, a2, c, usual, pooled))
        for name, criterion in (
            ("evidence", mean_evidence),
            ("excess_95", lambda u, h: excess(u, h, level=0.95) if len(h) >= 19 else two_sample_auroc(u, h)),
            ("variance (S)", score_variance),
        ):
            values = [criterion(u, h) for u, h in zip(scores, held, strict=True)]
            found[name].append(labelled[int(np.argmax(values))])
        found["none (pooled)"].append(labelled[next(i for i, row in enumerate(rows) if row[:2] == ("none", "pooled"))])
        found["random"].append(labelled.mean())
    return {rule: float(np.mean(values)) for rule, values in found.items()}


def _committee(rows, truth, a2, c, usual, pooled):
    sd = np.sqrt(np.maximum(c.diagonal() + c[usual, usual] - 2 * c[usual], 1e-12))
    tied = [i for i in np.argsort(-a2) if pooled[i] and (i == usual or (a2[usual] - a2[i]) / sd[i] < 1.96)][:3]
    votes = 0.0
    for i in tied:
        low, middle, high = np.quantile(rows[i][2], [0.25, 0.5, 0.75])
        votes = votes + np.arcsinh((rows[i][3] - middle) / max(high - low, 1e-6))
    return auroc(votes[truth == 0], votes[truth == 1])


if __name__ == "__main__":
    main()
