"""Tuning magnitudes without labels: alignment losses, hypergradients, and the alternation of ST-SSAD.

`TUNERS` is the catalogue of detectors that tune their own augmentation; the next one is a file and a line here.
"""

from feint.core.detector import PoolDetector, Scorer
from feint.tuning.st_ssad import STSSAD

TUNERS: dict[str, type[PoolDetector[Scorer]]] = {"st-ssad": STSSAD}

__all__ = ["STSSAD", "TUNERS"]
