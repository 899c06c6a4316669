"""The catalogue of label-free criteria: what can be compared when candidates are to be chosen without labels."""

from feint.tuning.criteria.alignment import MMD, MeanDistance, TwoCentres
from feint.tuning.criteria.criterion import PARTS, Criterion, Evidence, Part
from feint.tuning.criteria.dsv import DSV
from feint.tuning.criteria.masses import ExcessMass, MassVolume
from feint.tuning.criteria.ranks import HITS, ModelCentrality, RankStability
from feint.tuning.criteria.sinkhorn import Sinkhorn
from feint.tuning.criteria.two_sample import Excess, MeanEvidence, PseudoAUROC, TwoSampleAUROC
from feint.tuning.criteria.variance import StandardisedVariance, Variance

CRITERIA: dict[str, Criterion] = {
    "variance": Variance(),
    "standardised-variance": StandardisedVariance(),
    "mean-distance": MeanDistance(),
    "two-centres": TwoCentres(),
    "mmd-linear": MMD(kernel="linear"),
    "mmd-rbf": MMD(kernel="rbf"),
    "sinkhorn": Sinkhorn(),
    "dsv": DSV(),
    "two-sample-auroc": TwoSampleAUROC(),
    "excess-95": Excess(level=0.95),
    "excess-99": Excess(level=0.99),
    "mean-evidence": MeanEvidence(),
    "model-centrality": ModelCentrality(),
    "hits": HITS(),
    "excess-mass": ExcessMass(),
    "mass-volume": MassVolume(),
    "pseudo-auroc": PseudoAUROC(),
    "rank-stability": RankStability(),
}

__all__ = [
    "CRITERIA",
    "DSV",
    "HITS",
    "MMD",
    "PARTS",
    "Criterion",
    "Evidence",
    "Excess",
    "ExcessMass",
    "MassVolume",
    "MeanDistance",
    "MeanEvidence",
    "ModelCentrality",
    "Part",
    "PseudoAUROC",
    "RankStability",
    "Sinkhorn",
    "StandardisedVariance",
    "TwoCentres",
    "TwoSampleAUROC",
    "Variance",
]
