"""The catalogue of detectors: one file each; the next one is a file and a line here."""

from feint.core.detector import Detector
from feint.detectors.discriminator import Discriminator

DETECTORS: dict[str, type[Detector]] = {"discriminator": Discriminator}

__all__ = ["DETECTORS", "Discriminator"]
