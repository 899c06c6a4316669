"""What do a few marks buy? Runs are refitted with simulated marks, and judged on the images that were not marked.

For each run, number of marks and seed, so many anomalous and normal unlabelled images are drawn at random, as if a
person had marked them; every method learns from the same ones. Labels mark and judge, they choose nothing.

Methods: old = the run as it is; deep sad = with `MarkedDeepSAD` as one more voter, what `feint refit` does; deep sad,
loud = the same without speaking softly where marks are few; deep sad alone = that voter by itself; ridge = `ProbeHead`
on the same features as one more voter, each kind counting alike; deep sad and ridge = both of them as voters; stacked =
a logistic regression on the scores of the old voters, instead of their mean.

Run: python benchmarks/marks.py RUN=LABELS [RUN=LABELS ...] [--seeds 3] [--marks 5+5 10+20 30+60]
RUN: a folder of `feint tune` whose images are still there. LABELS: as `feint evaluate` takes them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from feint.backends import limit_threads
from feint.core.detector import Scorer, as_unit, score_images
from feint.core.streams import numpy_stream
from feint.data.labels import match, read_labels
from feint.detectors.committee import Committee, unit_of
from feint.detectors.marked import MarkedDeepSAD, softened
from feint.detectors.probe import ProbeHead
from feint.metrics.roc import auroc
from feint.runs.model import calibrated
from feint.runs.progress import Silent
from feint.runs.recipes import folds_of
from feint.runs.refit_images import reopened, settings_of
from feint.runs.run import Run
from feint.runs.workspace import Workspace
from feint.stats.student import student_interval

LEAST_LEFT = 9
RATE = 0.05
PENALTY, DISTANCE = 1.0, 5.0
ROLES = ("training", "held_out", "calibration", "pool")


@dataclass(frozen=True)
class Member:
    """One model of a run: votes (k, n) and features (n, d) of the images in each role, and who gives the features."""

    readers: list[Scorer]
    votes: dict[str, Tensor]
    features: dict[str, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN=LABELS")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--marks", nargs="+", default=["5+5", "10+20", "30+60"], metavar="ANOMALOUS+NORMAL")
    options = parser.parse_args()
    limit_threads(1)
    found: dict[tuple[str, str], dict[str, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for each in options.runs:
        path, _, labels = each.partition("=")
        members, truth = _opened(Run(path), labels)
        for marks in options.marks:
            for seed in range(options.seeds):
                for method, numbers in _compared(members, truth, marks, seed):
                    found[marks, method][Path(path).name].append(numbers)
        print(Path(path).name, len(truth), "images", flush=True)
    _print(found)


@torch.no_grad()
def _opened(run: Run, labels: str) -> tuple[list[Member], np.ndarray]:
    """Return what the members of a run make of its images, and the labels (n,) of its unlabelled ones."""
    settings = settings_of(run)
    with tempfile.TemporaryDirectory() as folder:
        space = Workspace(Path(folder) / "run")
        space.open(resume=False)
        data = reopened(run, settings, space=space, monitor=Silent())
        members = []
        for r, of in enumerate(run.model.members):
            px = next(px for px, each in data.preprocessing.items() if each == of.preprocessing)
            material = data.material(px, r)
            rows = {"training": material.training, "held_out": material.held_out}
            rows["calibration"] = data.rotations[r].calibration
            images = {role: material.normal.rows(chosen) for role, chosen in rows.items()}
            images["pool"] = material.unlabelled.rows(np.arange(len(data.unlabelled_names)))
            folds = torch.zeros(len(images["pool"]), dtype=torch.long)
            committees = [of.scorer]
            if of.voters.folds > 1:
                committees = [each for each in of.scorer.members if isinstance(each, Committee)]
                folds[material.pool] = folds_of(material.unlabelled.rows(material.pool), seed=settings.seed)
            voters = [each for each in committees[0].members if isinstance(each, Scorer)]
            read = [not recipe.learns_from_pool for recipe in of.voters.recipes]
            readers = [each for each, own in zip(voters, read, strict=True) if own] or voters
            members.append(_member(committees, readers, images, folds))
    truth = match(read_labels(labels), data.unlabelled_names)
    if len(truth.rows) < len(data.unlabelled_names):
        raise SystemExit(f"{labels} does not label every unlabelled image of {run.path}.")
    return members, truth.labels


def _member(committees: list[Committee], readers: list[Scorer], images: dict[str, Tensor], folds: Tensor) -> Member:
    scorer = MarkedDeepSAD().scorer(readers)
    by_fold = {role: torch.stack([_votes(each, images[role]) for each in committees]) for role in ROLES}
    votes = {role: found.mean(0) for role, found in by_fold.items()}
    votes["pool"] = by_fold["pool"][folds, :, torch.arange(len(folds))].T
    features = {
        role: torch.cat([scorer.embed(as_unit(chunk)) for chunk in torch.split(images[role], 64)]) for role in ROLES
    }
    return Member(readers, votes, features)


def _votes(committee: Committee, images: Tensor) -> Tensor:
    """Return what each voter says, (k, n), on the scale on which they are averaged."""
    scores = [score_images(each, images) for each in committee.members if isinstance(each, Scorer)]
    return torch.stack([_voted(each, unit) for each, unit in zip(scores, committee.units.tolist(), strict=True)])


def _voted(scores: Tensor, unit: tuple[float, float]) -> Tensor:
    return torch.asinh((scores.double() - unit[0]) / unit[1])


def _compared(
    members: list[Member], truth: np.ndarray, marks: str, seed: int
) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Yield AUROC, and the shares of anomalous and of normal images flagged, by each method on the unmarked images."""
    wanted = [int(each) for each in marks.split("+")]
    kinds = [np.flatnonzero(truth == label) for label in (1, 0)]
    if any(len(of) < n + LEAST_LEFT for of, n in zip(kinds, wanted, strict=True)):
        return
    chance = numpy_stream(seed, "marks", marks)
    anomalous, normal = (np.sort(chance.permutation(of)[:n]) for of, n in zip(kinds, wanted, strict=True))
    rest = np.setdiff1d(np.arange(len(truth)), np.concatenate([anomalous, normal]))
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for member in members:
        for method, scores in _methods(member, anomalous, normal).items():
            found[method].append((scores["calibration"].numpy(), scores["pool"].numpy()[rest]))
    for method, pairs in found.items():
        score, p = calibrated([each for each, _ in pairs], [each for _, each in pairs])
        anomaly, flagged = truth[rest] == 1, p <= RATE
        yield method, (auroc(score[~anomaly], score[anomaly]), flagged[anomaly].mean(), flagged[~anomaly].mean())


def _methods(member: Member, anomalous: np.ndarray, normal: np.ndarray) -> dict[str, dict[str, Tensor]]:
    """Return the scores of calibration normals and of the pool by each method."""
    z, votes = member.features, member.votes
    normals, marked = torch.cat([z["training"], z["pool"][normal]]), z["pool"][anomalous]
    learner = MarkedDeepSAD().scorer(member.readers)
    MarkedDeepSAD().fit_features(learner, normals, marked)
    ridge = ProbeHead(normals.shape[1])
    ridge.fit(normals, marked.repeat(max(1, round(len(normals) / len(marked))), 1), penalty=PENALTY, distance=DISTANCE)
    stacked = LogisticRegression(class_weight="balanced").fit(
        torch.cat([votes["held_out"], votes["pool"][:, normal], votes["pool"][:, anomalous]], dim=1).T.numpy(),
        np.repeat([0, 1], [votes["held_out"].shape[1] + len(normal), len(anomalous)]),
    )
    found: dict[str, dict[str, Tensor]] = defaultdict(dict)
    heads = {"deep sad": learner.of_features, "ridge": ridge}
    units = {name: unit_of(head(z["held_out"])) for name, head in heads.items()}
    for role in ("calibration", "pool"):
        loud, soft = (
            {name: _voted(head(z[role]), unit(units[name]))[None] for name, head in heads.items()}
            for unit in (tuple, lambda unit: softened(unit, len(marked)))
        )
        seated = {
            "old": [],
            "deep sad": [soft["deep sad"]],
            "deep sad, loud": [loud["deep sad"]],
            "ridge": [soft["ridge"]],
            "deep sad and ridge": list(soft.values()),
        }
        for name, voters in seated.items():
            found[name][role] = torch.cat([votes[role], *voters]).mean(0)
        found["deep sad alone"][role] = loud["deep sad"][0]
        found["stacked"][role] = torch.from_numpy(stacked.decision_function(votes[role].T.numpy()))
    return found


def _print(found: dict[tuple[str, str], dict[str, list[tuple[float, float, float]]]]) -> None:
    sets = list(dict.fromkeys(name for of in found.values() for name in of))
    print(f"\n| marks | method | {' | '.join(sets)} | mean | against old | anomalous flagged | normal flagged |")
    print(f"|{'---|' * (len(sets) + 6)}")
    for (marks, method), of in found.items():
        means = {name: np.mean(of[name], axis=0) for name in of}
        cells = [f"{means[name][0]:.3f}" if name in means else "" for name in sets]
        gaps = [means[name][0] - np.mean(found[marks, "old"][name], axis=0)[0] for name in of]
        whole = np.mean(list(means.values()), axis=0)
        gap = "" if method == "old" else "{:+.3f} ({:+.3f} to {:+.3f})".format(*student_interval(gaps))
        cells += [f"{whole[0]:.3f}", gap, f"{whole[1]:.0%}", f"{whole[2]:.1%}"]
        print(f"| {marks} | {method} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
