"""Words: what a person reads instead of settings."""

from __future__ import annotations

import pytest

from feint.augmentations import AUGMENTATIONS, NUISANCES
from feint.records.run import CandidateRecord
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
        ("noise", {"std": (0.12, 0.12)}, "noisy images (noise 12 %)"),
        ("blur", {"sigma": (1.2, 1.2)}, "blurred images (width 1.2 px)"),
        ("geom", {}, "mirrored, moved and turned images"),
        ("salt_pepper", {"grain_size": (1.0, 2.0)}, "salt pepper (grain size 1 to 2)"),
    ],
)
def test_augmentations_in_words(name: str, magnitudes: dict[str, tuple[float, float]], said: str) -> None:
    assert words.augmentation(name, magnitudes).replace(NBSP, " ") == said


@pytest.mark.parametrize("augmentation", [*AUGMENTATIONS.values(), *NUISANCES.values()], ids=lambda each: each.name)
def test_every_augmentation_and_magnitude_has_a_plain_name(augmentation: type) -> None:
    assert augmentation.name in words.KINDS
    assert {each.name for each in augmentation.magnitudes} <= words.UNITS.keys()


@pytest.mark.parametrize("augmentation", AUGMENTATIONS.values(), ids=lambda each: each.name)
def test_the_period_of_an_angle_is_known(augmentation: type) -> None:
    periods = [each.high - each.low for each in augmentation.magnitudes if each.scale == "periodic"]
    assert periods == [words.PERIODS[each] for each in words.PERIODS if each == augmentation.name]


def test_every_kind_of_candidate_has_words() -> None:
    kinds = set(CandidateRecord.model_fields["kind"].annotation.__args__)
    assert kinds == words.ORIGINS.keys()
    said = {kind: words.candidate(kind, "noise", {}, members=2) for kind in kinds - {"random"}}
    assert len(set(said.values())) == len(said)
    assert not set(said) & (set(said.values()) - {"autoencoder"})


def test_only_a_turn_of_one_value_is_brought_back() -> None:
    assert words.within_turn("cutdiff", {"angle": (200.0, 200.0)}) == {"angle": (20.0, 20.0)}
    assert words.within_turn("cutdiff", {"angle": (0.0, 180.0)}) == {"angle": (0.0, 180.0)}
    assert words.within_turn("cp-scar", {"angle": (-45.0, -45.0)}) == {"angle": (-45.0, -45.0)}


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
