"""Whether the bulk of new scores still looks like calibration, although some of the new images are anomalous."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike

from feint.metrics.arrays import FloatArray, score_vector
from feint.stats.beta_binomial import beta_binomial_at_least

_POINTS = (0.1, 0.25, 0.5)
_LEVEL = 0.05


@final
@dataclass(frozen=True, kw_only=True)
class Drift:
    """What comparing the bulk of the scores showed.

    Attributes:
        statistic: new scores below a calibration point, as a multiple of the number expected there: 1 = no drift.
        p_value: of 'no drift', corrected for the six looks taken.
        sentence: the result in words.
    """

    statistic: float
    p_value: float
    sentence: str

    @property
    def warns(self) -> bool:
        """Whether the p-value is at most 5 %."""
        return self.p_value <= _LEVEL


class _Look(NamedTuple):
    p_value: float
    direction: Literal["down", "up"]
    point: float
    ratio: float


def drifted(calibration: ArrayLike, new_scores: ArrayLike) -> Drift:
    """Return whether the new scores' bulk has moved from the calibration's, allowing for up to half anomalies.

    It counts the new scores below the calibration's 10, 25 and 50 % points. Anomalies score high, so they can only
    lower these counts, and if at most half of the images are anomalous, to no less than half of what is expected.
    *Down*: the count is higher than chance explains. *Up*: it is lower than chance and half anomalies explain. Each
    look is an exact beta-binomial test; the smallest of six p-values is multiplied by six, so false warnings stay
    below 5 % whatever the anomalies' scores.

    Sees: all scores moving down, or up by so much that less than half the expected count is left (about one
    standard deviation of normal scores). Cannot see: a smaller move up, since an upward shift and a share of
    anomalies look the same in scores alone; a change confined to the upper half; a drift under which the scores do not
    move. A move down hides behind many anomalies.

    Args:
        calibration: scores of m calibration normals, (m,).
        new_scores: scores of n new images by the same model, (n,).

    Raises:
        InputError: an empty, non-finite or not one-dimensional array.

    Fails when: more than half of the new images are anomalous (it warns 'up', and says so), anomalies score lower than
    normal images, or the model was fitted on the new ones (it warns 'down').

    Cost: O(m log m + n).

    Example:
        >>> import numpy as np
        >>> generator = np.random.default_rng(0)
        >>> calibration, today = generator.normal(size=200), generator.normal(size=300)
        >>> drifted(calibration, today).warns, drifted(calibration, today + 2).warns
        (False, True)
    """
    s = np.sort(score_vector(calibration, "calibration scores"))
    x = score_vector(new_scores, "new scores")
    best = min(look for point in _POINTS for look in _looks(s, x, point))
    p_value = min(1.0, 2 * len(_POINTS) * best.p_value)
    return Drift(statistic=best.ratio, p_value=p_value, sentence=_sentence(best, p_value))


def _looks(s: FloatArray, x: FloatArray, point: float) -> tuple[_Look, _Look]:
    """Test at one point both ways: tied scores count as above for 'down' and as below for 'up', so never in favour."""
    m, n = s.size, x.size
    k = max(1, round(point * (m + 1)))
    cut = s[k - 1]
    expected = n * k / (m + 1)
    below = int(np.count_nonzero(x < cut))
    up_to = int(np.count_nonzero(x <= cut))
    normals = (n + 1) // 2
    down = beta_binomial_at_least(below, n=n, a=k, b=m + 1 - k)
    up = beta_binomial_at_least(normals - up_to, n=normals, a=m + 1 - k, b=k)
    lowest = k / (m + 1)
    return _Look(down, "down", lowest, below / expected), _Look(up, "up", lowest, up_to / expected)


def _sentence(look: _Look, p_value: float) -> str:
    if p_value > _LEVEL:
        return "The bulk of the new scores is where calibration left it, as far as scores can tell."
    where = (
        f"{look.ratio * look.point:.0%} of the new images score as low as the lowest {look.point:.0%} of the "
        "calibration's normal images"
    )
    if look.direction == "down":
        return (
            f"{where}: either the detector has learned from these very images, or the scores have moved down, so that "
            "anomalies may be missed. If they are new, tune again with images of today among the normal ones."
        )
    return (
        f"{where}: either more than half of the new images are anomalous, or all scores have moved up and false alarms "
        "with them; scores alone cannot tell which. Look at images that are not flagged: if they are normal, tune "
        "again with such images among the normal ones."
    )
