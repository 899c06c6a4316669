"""What works on embeddings (n, d) alone, whatever made them: anomaly scorers (without labels) and probes (with).

The catalogues are written out: the next one is a file and a line here.
"""

from feint.embeddings.few_labels import PER_CLASS, Draws, FewLabels
from feint.embeddings.gmm import GMM
from feint.embeddings.isolation_forest import IsolationForest
from feint.embeddings.knn import KNN
from feint.embeddings.linear import LinearProbe
from feint.embeddings.lof import LOF
from feint.embeddings.mahalanobis import Mahalanobis
from feint.embeddings.nearest import NearestProbe
from feint.embeddings.one_class_svm import OneClassSVM
from feint.embeddings.probe import FittedProbe, Probe
from feint.embeddings.scorer import EmbeddingScorer, FittedScorer
from feint.embeddings.trimmed import Trimmed

EMBEDDING_SCORERS: dict[str, type[EmbeddingScorer]] = {
    "knn": KNN,
    "mahalanobis": Mahalanobis,
    "gmm": GMM,
    "one-class-svm": OneClassSVM,
    "isolation-forest": IsolationForest,
    "lof": LOF,
}
"""`Trimmed` wraps any of them."""

PROBES: dict[str, type[Probe]] = {"linear": LinearProbe, "nearest": NearestProbe}
"""`FewLabels` draws labels for any of them."""

__all__ = [
    "EMBEDDING_SCORERS",
    "GMM",
    "KNN",
    "LOF",
    "PER_CLASS",
    "PROBES",
    "Draws",
    "EmbeddingScorer",
    "FewLabels",
    "FittedProbe",
    "FittedScorer",
    "IsolationForest",
    "LinearProbe",
    "Mahalanobis",
    "NearestProbe",
    "OneClassSVM",
    "Probe",
    "Trimmed",
]
