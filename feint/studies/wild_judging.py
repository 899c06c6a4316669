"""What a frozen encoder is worth on one division of the images: probes with labels, scorers and metrics without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import FeintError
from feint.data.imbalance import LabelledSplit
from feint.embeddings import EMBEDDING_SCORERS, PER_CLASS, FewLabels, LinearProbe, NearestProbe, Trimmed
from feint.metrics.decisions import balanced_accuracy, corrected_logits, f1, recall_at
from feint.metrics.representations import assess
from feint.metrics.roc import auroc, average_precision

TRIMMED = ("knn", "mahalanobis")
FEW = LinearProbe(grid=(1e-2,))
Values = dict[str, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Embeddings `z` (k, d) of the images at `rows` (k,), ascending, and what each image is for.

    `labels` (n,) are of all images. `seen` are the rows that were pretrained on, `probed` those a probe is fitted on.
    """

    z: Floats
    rows: NDArray[np.intp]
    labels: NDArray[np.int_]
    split: LabelledSplit
    seen: NDArray[np.intp]
    probed: NDArray[np.intp]

    def of(self, rows: NDArray[np.intp]) -> Floats:
        """Return the embeddings of these images."""
        return self.z[np.searchsorted(self.rows, rows)]


def judge_probes(parts: Parts, *, seed: int) -> tuple[Values, Floats]:
    """Return the metrics of the probes by name, and the linear probe's logits of the natural test images.

    "auroc" is that of the linear probe on the class-balanced test images: the closest reading of the paper.
    """
    z, labels, test = parts.of(parts.probed), parts.labels[parts.probed], parts.split.test_balanced
    linear = LinearProbe().fit(z, labels, seed=seed)
    natural = linear.score(parts.of(parts.split.test_natural))
    found = judge_logits(natural, parts.labels, parts.split, learned=linear.prevalence, rows=parts.split.test_natural)
    validation = parts.split.val_balanced
    cut = _best_cut(parts.labels[validation], linear.score(parts.of(validation)))
    found["f1:best-val"] = f1(parts.labels[test], linear.score(parts.of(test)) - cut)
    weighted = LinearProbe(class_weight="balanced").fit(z, labels, seed=seed)
    found["auroc:probe-weighted"] = auroc_of(parts.labels[test], weighted.score(parts.of(test)))
    nearest = NearestProbe(k=min(20, len(z))).fit(z, labels, seed=seed)
    found["auroc:probe-knn"] = auroc_of(parts.labels[test], nearest.score(parts.of(test)))
    rarest = min(int(labels.sum()), int((1 - labels).sum()))
    for count in PER_CLASS:
        if count <= rarest:
            few = FewLabels(per_class=count, probe=FEW)
            draws = few.aurocs(z, labels, parts.of(test), parts.labels[test], seed=seed)
            found |= {f"auroc:few-{count}": draws.mean, f"sd:few-{count}": draws.sd}
    return found, natural


def judge_logits(
    logits: Floats, labels: NDArray[np.int_], split: LabelledSplit, *, learned: float, rows: NDArray[np.intp]
) -> Values:
    """Return what logits (m,) of the images at `rows` are worth; `learned` is the prevalence they were learnt at.

    "prevalence" is what the average precision gives by chance; ":natural" are of the test images as they come.
    """
    where = np.searchsorted(rows, split.test_balanced)
    y, s = labels[split.test_balanced], logits[where]
    return {
        "auroc": auroc_of(y, s),
        "average_precision": average_precision(y, s),
        "prevalence": float(y.mean()),
        "f1": f1(y, s),
        "f1:corrected": f1(y, corrected_logits(s, learned=learned, met=float(y.mean()))),
        "balanced_accuracy": balanced_accuracy(y, s),
        "recall_at_5fpr": recall_at(y, s),
        "auroc:natural": auroc_of(labels[rows], logits),
        "average_precision:natural": average_precision(labels[rows], logits),
        "prevalence:natural": float(labels[rows].mean()),
    }


def judge_scorers(parts: Parts, *, seed: int) -> Values:
    """Return the AUROC of every label-free scorer that can be fitted on the contaminated images."""
    z, test = parts.of(parts.seen), parts.split.test_balanced
    recipes = {name: kind() for name, kind in EMBEDDING_SCORERS.items()}
    recipes |= {f"{name}:trimmed": Trimmed(scorer=recipes[name]) for name in TRIMMED}
    found = {}
    for name, recipe in recipes.items():
        try:
            scores = recipe.fit(z, seed=seed).score(parts.of(test))
        except FeintError:
            continue
        found[f"auroc:{name}"] = auroc_of(parts.labels[test], scores)
    return found


def judge_label_free(z: Floats, *, views: Floats, pair: tuple[Floats, Floats], seed: int, at: str = "") -> Values:
    """Return every label-free metric of embeddings (n, d) as "free:KEY"; with `at`, as "free:KEY@AT"."""
    return {
        f"free:{key}{f'@{at}' if at else ''}": each.value
        for key, each in assess(z, seed=seed, views=views, pair=pair).items()
        if np.isfinite(each.value)
    }


def auroc_of(labels: NDArray[np.int_], scores: Floats) -> float:
    """Return the AUROC of scores (n,), higher = more anomalous, with labels (n,), 0 or 1."""
    return float(auroc(scores[labels == 0], scores[labels == 1]))


def _best_cut(labels: NDArray[np.int_], logits: Floats) -> float:
    """Return the logit at which F1 is highest: half way between two of them."""
    order = np.sort(np.unique(logits))
    cuts = np.concatenate([[order[0] - 1], (order[1:] + order[:-1]) / 2])
    return float(cuts[int(np.argmax([f1(labels, logits - cut) for cut in cuts]))])
