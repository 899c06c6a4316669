"""Numbers and settings as a person would say them."""

from __future__ import annotations

import math
from dataclasses import dataclass

NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"

Range = tuple[float, float]

ORIGINS = {
    "none": "no training",
    "autoencoder": "learns to redraw normal images",
    "tuned": "tuned to your images",
    "random": "random strength",
    "features": "compares with normal images by a network made elsewhere",
    "unlabelled": "learns to tell unlabelled from normal images",
    "ensemble": "mean of the candidates that vote",
    "marked": "learns from the images you marked",
}
VERDICTS = {
    "augmentation": "Recommended",
    "none": "No pseudo-anomalies recommended",
    "other": "Recommended without pseudo-anomalies",
    "abstain": "No recommendation: not shown to be better than no training",
}
KINDS = {
    "cutdiff": "soft patches",
    "rotation": "turned images",
    "cutout": "black boxes",
    "cutpaste": "pasted pieces",
    "cp-scar": "pasted strips",
    "crop": "enlarged parts",
    "rotate": "quarter turns",
    "flip": "images upside down",
    "geom": "mirrored, moved and turned images",
    "mask": "missing pixels",
    "noise": "noisy images",
    "blur": "blurred images",
    "color": "changed colours",
    "invert": "negatives",
    "simclr": "enlarged parts in changed colours",
    "flips": "mirrored images",
    "brightness": "brighter or darker images",
    "none": "no training",
}
PATCHES = {"cutdiff", "cutout", "cutpaste"}
PERIODS = {"rotation": 360.0, "cutdiff": 180.0}
TELLING = 0.9


@dataclass(frozen=True)
class Unit:
    """How a magnitude is said: its label, the factor to the unit shown, the unit, and what it means."""

    label: str
    factor: float = 1.0
    suffix: str = ""
    meaning: str = ""


UNITS = {
    "area": Unit("Area", 100, f"{NBSP}%", "as a share of the image"),
    "aspect": Unit("Aspect", 1, "", "width divided by height; 1 is as wide as high"),
    "angle": Unit("Angle", 1, "°", "how far it is turned"),
    "amplitude": Unit("Amplitude", 100, f"{NBSP}%", "how much darker, in % of full white; below zero: brighter"),
    "std": Unit("Noise", 100, f"{NBSP}%", "standard deviation, in % of full white"),
    "sigma": Unit("Width", 1, f"{NBSP}px", "how far a point is spread"),
    "strength": Unit("Strength", 100, f"{NBSP}%", "how far colours may move, in % of the usual most"),
    "jitter": Unit("Colour change", 100, f"{NBSP}%", "how far the colours of the piece may move"),
    "probability": Unit("Probability", 100, f"{NBSP}%", "how often it is done"),
    "height": Unit("Height", 1, f"{NBSP}px", "of the strip"),
    "width": Unit("Width", 1, f"{NBSP}px", "of the strip"),
    "factor": Unit("Factor", 1, "", "by which the image is brighter; below one: darker"),
}


def unit(magnitude: str) -> Unit:
    """Return how the magnitude called `magnitude` is said; an unknown one keeps its name."""
    return UNITS.get(magnitude) or Unit(magnitude.replace("_", " ").capitalize())


def count(n: float) -> str:
    """Return a count with its thousands apart.

    Example:
        >>> count(12345), count(15.4), count(0.26)
        ('12,345', '15', '0.3')
    """
    return f"{n:,.0f}" if n >= 10 or n == int(n) else f"{n:,.1f}"


def number(x: float | None) -> str:
    """Return a number with about three digits; a dash where there is none.

    Example:
        >>> number(1234.5), number(93.21), number(-0.51234), number(0.00012), number(None)
        ('1,234', '93.2', '−0.512', '0.00012', '–')
    """
    if x is None or not math.isfinite(x):
        return DASH
    size = abs(x)
    if size != 0 and size < 0.01:
        text = f"{size:.2g}"
    else:
        text = f"{size:,.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"
    return (MINUS if x < 0 and float(text.replace(",", "")) != 0 else "") + text


def decimals(x: float) -> str:
    """Return a number with three decimals, as in a column of a table."""
    return f"{x:.3f}".replace("-", MINUS)


def trimmed(x: float) -> str:
    """Return a number with about two digits and no idle zeros.

    Example:
        >>> trimmed(178.4), trimmed(3.14), trimmed(2.0), trimmed(0.55), trimmed(-0.0123)
        ('178', '3.1', '2', '0.55', '−0.012')
    """
    size = abs(x)
    text = f"{x:.{0 if size >= 10 else 1 if size >= 1 else 2}f}" if size >= 0.1 else f"{x:.2g}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", MINUS)


def percent(share: float | None) -> str:
    """Return a share of 1 in per cent.

    Example:
        >>> [percent(x).replace(NBSP, " ") for x in (0.05, 0.0312, 0.574, 1.0, 0.0004)]
        ['5 %', '3.1 %', '57 %', '100 %', '0.04 %']
    """
    if share is None or not math.isfinite(share):
        return DASH
    x = 100 * share
    text = f"{x:.0f}" if abs(x) >= 10 else f"{x:.2g}" if abs(x) < 1 else f"{x:.1f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + f"{NBSP}%"


def p_value(p: float | None) -> str:
    """Return a p-value as it is written.

    Example:
        >>> [p_value(x).replace(NBSP, " ") for x in (0.0042, 0.5, 0.00001)]
        ['p = 0.004', 'p = 0.50', 'p < 0.001']
    """
    if p is None or not math.isfinite(p):
        return f"p{NBSP}={NBSP}{DASH}"
    if p < 0.001:
        return f"p{NBSP}<{NBSP}0.001"
    return f"p{NBSP}={NBSP}{p:.{3 if p < 0.1 else 2}f}"


def tells(low: float, high: float, *, least: float = 0.0) -> bool:
    """Return whether an interval excludes at least a tenth of what is possible, from `least` to 1.

    Example:
        >>> tells(0.1, 0.4), tells(0.0, 0.95), tells(0.5, 1.0, least=0.5)
        (True, False, False)
    """
    return min(high, 1.0) - max(low, least) < TELLING * (1 - least)


def setting(value: object) -> str:
    """Return the value of a setting.

    Example:
        >>> setting(None), setting([]), setting(["noise", "blur"]), setting(False), setting(0.05)
        ('not given', 'none', 'noise, blur', 'no', '0.05')
    """
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "none"
    return str(value)


def duration(seconds: float) -> str:
    """Return a duration in at most two units.

    Example:
        >>> [duration(x).replace(NBSP, " ") for x in (0.0123, 1.24, 42.4, 93, 7325)]
        ['0.01 s', '1.2 s', '42 s', '1 min 33 s', '2 h 2 min']
    """
    if round(seconds) < 60:
        text = f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}" if seconds >= 0.1 else f"{seconds:.2f}"
        return f"{text}{NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{NBSP}min" + (f"{NBSP}{rest}{NBSP}s" if rest else "")
    return f"{minutes // 60}{NBSP}h{NBSP}{minutes % 60}{NBSP}min"


def magnitude(name: str, drawn: Range) -> str:
    """Return the value of one magnitude, or the range it is drawn from, in its unit.

    Example:
        >>> magnitude("area", (0.03, 0.03)).replace(NBSP, " "), magnitude("angle", (10.0, 350.0))
        ('3 %', '10° to 350°')
    """
    how = unit(name)
    low, high = (trimmed(each * how.factor) + how.suffix for each in drawn)
    return low if low == high else f"{low} to {high}"


def within_turn(name: str, magnitudes: dict[str, Range]) -> dict[str, Range]:
    """Return the magnitudes of an augmentation with an angle of one value brought into its first turn: −2° is 358°."""
    drawn, period = magnitudes.get("angle"), PERIODS.get(name)
    if drawn is None or period is None or drawn[0] != drawn[1]:
        return magnitudes
    return magnitudes | {"angle": (drawn[0] % period, drawn[1] % period)}


def strengths(name: str, magnitudes: dict[str, Range]) -> str:
    """Return the magnitudes of an augmentation in one line, each in its unit.

    Example:
        >>> strengths("cutdiff", {"area": (0.03, 0.03), "angle": (10.0, 90.0)}).replace(NBSP, " ")
        'area 3 %, angle 10° to 90°'
        >>> strengths("rotation", {"angle": (-2.0, -2.0)})
        'angle 358°'
    """
    within = within_turn(name, magnitudes).items()
    return ", ".join(f"{unit(each).label.lower()} {magnitude(each, drawn)}" for each, drawn in within)


def augmentation(name: str, magnitudes: dict[str, Range]) -> str:
    """Return an augmentation in plain words, short enough for a headline.

    Example:
        >>> augmentation("cutdiff", {"area": (0.03, 0.03), "amplitude": (0.4, 0.4)}).replace(NBSP, " ")
        'soft dark patches covering 3 % of the image'
        >>> augmentation("rotation", {"angle": (178.0, 178.0)})
        'images turned by 178°'
        >>> augmentation("noise", {"std": (0.1, 0.1)}).replace(NBSP, " ")
        'noisy images (noise 10 %)'
    """
    if name == "none":
        return "nothing: the network is untrained"
    if name == "rotation" and "angle" in magnitudes:
        low, high = magnitudes["angle"]
        turned = "any angle" if high - low >= 360 else magnitude("angle", (low % 360, low % 360 + high - low))
        return f"images turned by {turned}"
    if name in PATCHES:
        size = f" covering {magnitude('area', magnitudes['area'])} of the image" if "area" in magnitudes else ""
        return kind(name, magnitudes) + size
    values = strengths(name, magnitudes)
    return kind(name, magnitudes) + (f" ({values})" if values else "")


def candidate(origin: str, name: str, magnitudes: dict[str, Range], *, members: int = 0) -> str:
    """Return what a candidate is; `origin` is its kind, `name` its augmentation, `members` how many vote in it.

    Example:
        >>> candidate("tuned", "cutout", {"area": (0.1, 0.1)}).replace(NBSP, " ")
        'black boxes covering 10 % of the image'
        >>> candidate("random", "cutout", {"area": (0.02, 0.15)}), candidate("ensemble", "none", {}, members=3)
        ('black boxes', '3 candidates together')
    """
    if origin == "tuned":
        return augmentation(name, magnitudes)
    if origin == "random":
        return kind(name, magnitudes)
    return {
        "none": "untrained network",
        "autoencoder": "autoencoder",
        "features": "pretrained network",
        "unlabelled": "normal against unlabelled images",
        "ensemble": f"{members} candidates together",
        "marked": "the images you marked",
    }.get(origin, origin)


def kind(name: str, magnitudes: dict[str, Range]) -> str:
    """Return what kind of pseudo-anomaly an augmentation makes: `soft dark patches`, `turned images`."""
    if name == "cutdiff":
        return f"soft{_tone(magnitudes.get('amplitude'))} patches"
    return KINDS.get(name, name.replace("_", " "))


def _tone(amplitude: Range | None) -> str:
    if amplitude is None or amplitude[0] < 0 < amplitude[1]:
        return ""
    strength = max(abs(amplitude[0]), abs(amplitude[1]))
    return (" faint" if strength < 0.2 else "") + (" bright" if amplitude[1] <= 0 else " dark")


def times(n: int) -> str:
    """Return how often: `once`, `3 times`."""
    return "once" if n == 1 else f"{n} times"


def listed(things: list[str]) -> str:
    """Return things as a sentence lists them.

    Example:
        >>> listed(["area"]), listed(["area", "angle", "amplitude"])
        ('area', 'area, angle and amplitude')
    """
    return " and ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things)
