"""The catalogue of detectors: one file each; the next one is a file and a line here."""

from feint.core.detector import Detector, PoolDetector, Scorer
from feint.detectors.adapters.anomalib import Anomalib
from feint.detectors.adapters.pyod import PyOD
from feint.detectors.autoencoder import AE, DAE
from feint.detectors.deepsad import DeepSAD, DeepSVDD
from feint.detectors.discriminator import Discriminator
from feint.detectors.features import FeatureGaussian, FeatureKNN
from feint.detectors.neighbours import PixelKNN
from feint.detectors.patches import PatchKNN
from feint.detectors.predictor import AP
from feint.detectors.probe import PoolProbe
from feint.detectors.unlabelled import PoolClassifier

DETECTORS: dict[str, type[Detector[Scorer]]] = {
    "ae": AE,
    "dae": DAE,
    "ap": AP,
    "deepsvdd": DeepSVDD,
    "deepsad": DeepSAD,
    "discriminator": Discriminator,
    "pixel-knn": PixelKNN,
    "feature-knn": FeatureKNN,
    "feature-gaussian": FeatureGaussian,
    "patch-knn": PatchKNN,
    "anomalib": Anomalib,
    "pyod": PyOD,
}

POOL_DETECTORS: dict[str, type[PoolDetector[Scorer]]] = {
    "pool-classifier": PoolClassifier,
    "pool-probe": PoolProbe,
}
"""They learn from normal and unlabelled images."""

__all__ = [
    "AE",
    "AP",
    "DAE",
    "DETECTORS",
    "POOL_DETECTORS",
    "Anomalib",
    "DeepSAD",
    "DeepSVDD",
    "Discriminator",
    "FeatureGaussian",
    "FeatureKNN",
    "PatchKNN",
    "PixelKNN",
    "PoolClassifier",
    "PoolProbe",
    "PyOD",
]
