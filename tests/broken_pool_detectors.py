"""Pool detectors broken in one way each: those of `broken_detectors` beside a pool, and two of their own."""

from dataclasses import dataclass, field

import broken_detectors

from feint.core.detector import Detector, PoolDetector, as_unit
from feint.testing import detectors
from feint.testing import pool_detectors as checks


@dataclass(frozen=True, kw_only=True)
class BesideAPool(PoolDetector):
    """Honest: what it makes of the normal images, measured by how bright the unlabelled ones are; no training."""

    detector: Detector = field(default_factory=broken_detectors.PixelDetector)

    def _fit(self, normals, unlabelled, seed, log):
        scorer = self.detector.fit(normals, policy=None, seed=seed)
        scorer.spread *= 1 + as_unit(unlabelled).mean()
        return scorer


class Deaf(BesideAPool):
    """Never looks at the unlabelled images."""

    def _fit(self, normals, unlabelled, seed, log):
        return self.detector.fit(normals, policy=None, seed=seed)


class OverwritingPool(BesideAPool):
    def _fit(self, normals, unlabelled, seed, log):
        scorer = super()._fit(normals, unlabelled, seed, log)
        unlabelled[0] = 0
        return scorer


def make(twin):
    """Return the pool detector of a twin, which is one, or a detector or a scorer."""
    return twin() if issubclass(twin, PoolDetector) else BesideAPool(detector=broken_detectors.make(twin))


OF_THEIR_OWN = {
    checks.the_pool_is_learned_from: [Deaf],
    checks.the_pool_stays_untouched: [OverwritingPool],
}
HONEST = [BesideAPool]
TWINS = {
    check: OF_THEIR_OWN.get(check) or broken_detectors.TWINS[getattr(detectors, check.__name__)]
    for check in checks.POOL_DETECTOR_CHECKS
}
ALSO = broken_detectors.ALSO | {
    broken_detectors.Constant: {
        *broken_detectors.ALSO[broken_detectors.Constant],
        checks.the_pool_is_learned_from,
    }
}
