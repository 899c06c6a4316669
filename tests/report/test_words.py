"""Words: what a person reads instead of settings."""

from __future__ import annotations

import pytest

from feint.report import words
from feint.report.words import NBSP


@pytest.mark.parametrize(
    ("name", "magnitudes", "said"),
    [
        (
            "cutdiff",
            {"area": (0.03, 0.03), "amplitude": (0.1, 0.1)},
            "soft faint dark patches covering 3 % of the image",
        ),
        (
            "cutdiff",
            {"area": (0.02, 0.15), "amplitude": (-1.0, -0.1)},
            "soft bright patches covering 2 % to 15 % of the image",
        ),
        ("cutdiff", {"area": (0.1, 0.1), "amplitude": (-1.0, 1.0)}, "soft patches covering 10 % of the image"),
        ("rotation", {"angle": (-182.0, -182.0)}, "images turned by 178°"),
        ("rotation", {"angle": (15.0, 345.0)}, "images turned by 15° to 345°"),
        ("rotation", {"angle": (0.0, 360.0)}, "images turned by any angle"),
        ("cutout", {"area": (0.02, 0.02)}, "black boxes covering 2 % of the image"),
        ("cutpaste", {"area": (0.02, 0.02)}, "pasted pieces covering 2 % of the image"),
        ("cutpaste", {}, "pasted pieces"),
        ("rotation", {}, "turned images"),
        ("none", {}, "nothing: the network is untrained"),
        ("salt_pepper", {"grain_size": (1.0, 2.0)}, "salt pepper (grain size 1 to 2)"),
    ],
)
def test_augmentations_in_words(name: str, magnitudes: dict[str, tuple[float, float]], said: str) -> None:
    assert words.augmentation(name, magnitudes).replace(NBSP, " ") == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0.00 s"), (9.96, "10.0 s"), (59.4, "59 s"), (59.6, "1 min"), (3599.7, "1 h 0 min"), (119.5, "2 min")],
)
def test_durations_round_without_sixty_seconds(seconds: float, said: str) -> None:
    assert words.duration(seconds).replace(NBSP, " ") == said


@pytest.mark.parametrize("x", [float("nan"), float("inf"), None])
def test_what_is_no_number_is_a_dash(x: float | None) -> None:
    assert words.number(x) == words.DASH
    assert words.percent(x) == words.DASH
    assert words.p_value(x).endswith(words.DASH)


@pytest.mark.parametrize(("x", "said"), [(0.0, "0.000"), (-0.0001, "−0.0001"), (-1e-12, "−1e-12"), (999.6, "1,000")])
def test_numbers(x: float, said: str) -> None:
    assert words.number(x) == said
