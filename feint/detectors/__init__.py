"""The catalogue of detectors: one file each; the next one is a file and a line here."""

from feint.core.detector import Detector, Scorer
from feint.detectors.adapters.anomalib import Anomalib
from feint.detectors.adapters.pyod import PyOD
from feint.detectors.autoencoder import AE, DAE
from feint.detectors.deepsad import DeepSAD, DeepSVDD
from feint.detectors.discriminator import Discriminator
from feint.detectors.features import FeatureGaussian, FeatureKNN
from feint.detectors.neighbours import PixelKNN
from feint.detectors.patches import PatchKNN
from feint.detectors.predictor import AP

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

__all__ = [
    "AE",
    "AP",
    "DAE",
    "DETECTORS",
    "Anomalib",
    "DeepSAD",
    "DeepSVDD",
    "Discriminator",
    "FeatureGaussian",
    "FeatureKNN",
    "PatchKNN",
    "PixelKNN",
    "PyOD",
]
