"""Numbers of a study as they are written."""

from __future__ import annotations

import math
from typing import Protocol

from feint.report import words


class Bounded(Protocol):
    """A number with the ends of its interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def signed(x: float) -> str:
    """Return a difference with three decimals, its sign always written.

    Example:
        >>> signed(0.0312), signed(-0.02), signed(0.0001), signed(float("nan"))
        ('+0.031', '−0.020', '0.000', '–')
    """
    if not math.isfinite(x):
        return words.DASH
    if abs(x) < 0.0005:
        return "0.000"
    return ("+" if x > 0 else "") + words.decimals(x)


def ends(interval: Bounded) -> str:
    """Return both ends of the interval of a difference; says so where there is none.

    Example:
        >>> from feint.stats.resampling import Interval
        >>> ends(Interval(0.02, -0.01, 0.05)), ends(Interval(0.02, float("nan"), float("nan")))
        ('−0.010 to +0.050', 'no interval')
    """
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return "no interval"
    return f"{signed(interval.low)} to {signed(interval.high)}"


def small(p: float) -> str:
    """Return a p-value in four characters at most, for a cell of a matrix.

    Example:
        >>> small(0.0123), small(0.5), small(0.00002), small(1.0), small(float("nan"))
        ('.012', '.50', '<.001', '1', '')
    """
    if not math.isfinite(p):
        return ""
    if p < 0.001:
        return "<.001"
    return "1" if p >= 0.995 else f"{p:.{3 if p < 0.1 else 2}f}"[1:]


def counted(n: int, one: str, many: str = "") -> str:
    """Return a count with its noun: `1 task`, `1,200 tasks`."""
    return f"{words.count(n)} {one if n == 1 else many or one + 's'}"


def listed(names: list[str], *, most: int = 6) -> str:
    """Return names as a phrase.

    Example:
        >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c"], most=2)
        ('a', 'a, b and c', 'a, b and 1 more')
    """
    shown = names if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""


def ordinal(n: int) -> str:
    """Return a place in an order.

    Example:
        >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 21)]
        ['1st', '2nd', '3rd', '4th', '11th', '12th', '21st']
    """
    return f"{n}{'th' if n % 100 in {11, 12, 13} else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"
