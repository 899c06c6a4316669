"""The functions of the paper: their statistics over 10,000 draws, their names, and variants with a number."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feint.augmentations import AUGMENTATIONS, Blur
from feint.augmentations.policies import POLICIES, VARIANTS, category_of, policy_named
from feint.core.errors import SettingError
from feint.core.streams import stream

N = 10_000
PAPER = {
    "geometric": {"crop", "rotate", "flip", "geom"},
    "elementwise": {"mask", "noise", "blur"},
    "color": {"color", "invert"},
    "local": {"cutout", "cutpaste", "cp-scar"},
    "mixed": {"simclr"},
}


def drawn(name: str, n: int = N) -> dict[str, torch.Tensor]:
    """Return `n` draws of each magnitude, by name."""
    policy = policy_named(name)
    _, magnitudes = policy.draw(torch.empty(n, 1, 4, 4), generator=stream(0, "draws"))
    return {each.name: magnitudes[:, i].double() for i, each in enumerate(policy.augmentation.magnitudes)}


def augmented(name: str, images: torch.Tensor) -> torch.Tensor:
    return policy_named(name)(images, generator=stream(0, "draws"))


def white(side: int = 32, channels: int = 1) -> torch.Tensor:
    return torch.ones(N, channels, side, side)


def test_the_13_functions_and_two_of_our_own_have_the_categories_of_the_paper():
    assert set().union(*PAPER.values()) | {"cutdiff", "rotation"} == POLICIES.keys() == AUGMENTATIONS.keys()
    for category, names in PAPER.items():
        assert {category_of(name) for name in names} == {category}
    assert (category_of("cutdiff"), category_of("rotation")) == ("local", "geometric")


def test_names_are_those_of_the_catalogue():
    assert all(policy.augmentation == POLICIES[name].augmentation for name, policy in POLICIES.items())
    assert all(isinstance(policy.augmentation, AUGMENTATIONS[name]) for name, policy in POLICIES.items())
    assert all(name == each.name for name, each in AUGMENTATIONS.items())


def test_a_quarter_of_the_rotations_are_none():
    image = torch.rand(1, 1, 6, 6, generator=stream(0)).expand(N, -1, -1, -1)
    found = augmented("rotate", image)
    for turns in range(4):
        same = (found == torch.rot90(image[:1], turns, (2, 3))).flatten(1).all(1)
        assert same.double().mean().item() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("name", ["flip", "invert"])
def test_half_are_flipped_and_all_are_when_that_is_asked(name):
    image = torch.rand(1, 1, 4, 4, generator=stream(0)).expand(N, -1, -1, -1)
    changed = (augmented(name, image) != image).flatten(1).any(1)
    assert changed.double().mean().item() == pytest.approx(0.5, abs=0.02)
    assert (augmented(f"{name}-1", image) != image).flatten(1).any(1).all()
    assert torch.equal(augmented(f"{name}-0", image), image)


def test_geom_draws_all_of_its_72_outcomes_alike():
    image = torch.rand(1, 1, 8, 8, generator=stream(0)).expand(N, -1, -1, -1)
    _, counts = torch.unique(augmented("geom", image).flatten(1), dim=0, return_counts=True)
    assert len(counts) == 72
    mean = N / 72
    assert counts.min() > mean - 5 * mean**0.5
    assert counts.max() < mean + 5 * mean**0.5


def test_a_tenth_of_the_entries_is_masked_in_every_channel():
    found = augmented("mask", white(8, channels=3))
    assert (found == 0).double().mean((0, 2, 3)).tolist() == pytest.approx([0.1] * 3, abs=0.003)
    both = ((found[:, 0] == 0) & (found[:, 1] == 0)).double().mean().item()
    assert both == pytest.approx(0.01, abs=0.001), "channels are independent"


def test_noise_has_a_width_of_a_tenth_and_is_not_clipped():
    images = torch.zeros(N, 1, 4, 4)
    images[: N // 2] = 1
    added = augmented("noise", images) - images
    assert added.double().std().item() == pytest.approx(0.1, abs=0.001)
    assert added.double().mean().item() == pytest.approx(0, abs=0.002)
    assert added.max() > 0.3
    assert added.min() < -0.3


def test_cutouts_have_the_areas_and_aspects_of_the_paper():
    side = 128
    black = torch.cat([augmented("cutout", torch.ones(1000, 1, side, side)) == 0])[:, 0]
    height, width = black.any(2).sum(1), black.any(1).sum(1)
    area = (height * width).double() / side**2
    assert torch.equal(black.sum((1, 2)), height * width)
    assert 0.02 - 0.002 < area.min() < 0.025
    assert 0.31 < area.max() < 0.33 + 0.005
    found = drawn("cutout")
    assert found["area"].mean().item() == pytest.approx(0.175, abs=5 * 0.31 / (12 * N) ** 0.5)
    assert found["aspect"].log().mean().item() == pytest.approx(0, abs=0.05)
    assert found["aspect"].log().std().item() == pytest.approx(2.4 / 12**0.5, rel=0.02)


def test_half_of_the_pasted_patches_are_wide():
    found = drawn("cutpaste")
    area, aspect, jitter = found["area"], found["aspect"], found["jitter"]
    assert 0.02 <= area.min() < 0.021 < 0.149 < area.max() <= 0.15 + 1e-6
    assert (aspect < 1).double().mean().item() == pytest.approx(0.5, abs=0.02)
    assert aspect[aspect < 1].mean().item() == pytest.approx(0.65, abs=0.01)
    assert aspect[aspect >= 1].mean().item() == pytest.approx(2.15, abs=0.05)
    assert (jitter == torch.tensor(0.1)).all()


def test_scars_have_all_whole_sizes_alike():
    found = drawn("cp-scar")
    for name, sizes in (("height", range(10, 25)), ("width", range(2, 16))):
        values, counts = torch.unique(found[name].floor().long(), return_counts=True)
        assert values.tolist() == list(sizes)
        assert ((counts / N - 1 / len(sizes)).abs() < 0.015).all()
    assert found["angle"].min() >= -45
    assert found["angle"].max() <= 45
    assert found["angle"].mean().item() == pytest.approx(0, abs=1.5)
    assert (found["jitter"] == torch.tensor(0.1)).all()


def test_crops_blurs_and_colours_have_the_ranges_of_the_paper():
    crop, blur, simclr = drawn("crop"), drawn("blur"), drawn("simclr")
    for found in (crop, simclr):
        assert 0.08 <= found["area"].min() < found["area"].mean() < found["area"].max() <= 1
        assert found["area"].mean().item() == pytest.approx(0.54, abs=0.02)
        assert found["aspect"].log().mean().item() == pytest.approx(0, abs=0.01)
        assert 0.75 - 1e-6 <= found["aspect"].min() < 0.76 < 1.32 < found["aspect"].max() <= 4 / 3 + 1e-6
    for found in (blur, simclr):
        assert found["sigma"].mean().item() == pytest.approx(1.05, abs=0.03)
        assert 0.1 <= found["sigma"].min() < 0.11 < 1.99 < found["sigma"].max() <= 2.0 + 1e-6
    assert (drawn("color")["strength"] == 1).all()
    assert (simclr["strength"] == 1).all()
    assert (Blur.taps(32, 32), Blur.taps(256, 256)) == (3, 25)


def test_a_fifth_of_simclrs_images_is_grey_and_half_are_mirrored():
    """A ramp tells which way round it is; a crop does not turn it."""
    n = 2000
    ramp = torch.linspace(0.3, 0.6, 16)[None, None, None, :] * torch.tensor([1.0, 0.7, 0.4])[:, None, None]
    found = augmented("simclr", ramp.expand(n, 3, 16, 16))
    spread = (found.amax(1) - found.amin(1)).amax((1, 2))
    assert (spread < 1e-5).double().mean().item() == pytest.approx(0.2, abs=0.06)
    slope = found[:, :, :, 12].mean((1, 2)) - found[:, :, :, 4].mean((1, 2))
    assert (slope < -1e-6).double().mean().item() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("name", POLICIES)
def test_equal_streams_give_equal_images_whatever_the_threads(name):
    images = torch.rand(12, 3, 16, 16, generator=stream(0))
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            found.append(augmented(name, images))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[2])
    assert torch.allclose(found[0], found[1], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("cutout-0.1", (0.1, 1.0), (0.1, 1.0)),
        ("cutpaste-0.1", (0.1, 0.3, 0.1), (0.1, 3.3, 0.1)),
        ("color-0.5", (0.5,), (0.5,)),
        ("mask-0.3", (0.3,), (0.3,)),
        ("noise-0.2", (0.2,), (0.2,)),
        ("blur-1.5", (1.5,), (1.5,)),
        ("rotation-90", (90.0,), (90.0,)),
        ("flip-1", (1.0,), (1.0,)),
    ],
)
def test_a_number_fixes_one_magnitude(name, low, high):
    policy = policy_named(name)
    assert (policy.low, policy.high) == (low, high)
    assert policy.augmentation == POLICIES[name.split("-")[0]].augmentation
    assert category_of(name) == category_of(name.split("-")[0])


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_every_number_in_range_makes_images(name, share):
    variant = VARIANTS[name]
    value = variant.low + share * (variant.high - variant.low)
    images = torch.rand(4, 3, 16, 16, generator=stream(0))
    found = augmented(f"{name}-{value:.6f}", images)
    assert found.shape == images.shape
    assert found.isfinite().all()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rotat", "did you mean 'rotate'"),
        ("cutuot-0.1", "did you mean 'cutout-0.1'"),
        ("Flip", "did you mean 'flip'"),
        ("cutout-abc", "did you mean 'cutout'"),
        ("zzz", "choose of crop, rotate"),
        ("", "choose of crop, rotate"),
        ("geom-3", "geom"),
        ("mask-1.5", "probability must be between 0 and 1: got 1.5"),
        ("mask-nan", "between 0 and 1: got nan"),
        ("cutout-0", "area must be between 0.001 and 0.9: got 0"),
        ("rotation-361", "angle must be between 0 and 360"),
    ],
)
def test_unknown_names_and_numbers_out_of_range_are_refused(name, said):
    with pytest.raises(SettingError, match=said):
        policy_named(name)


@given(st.text(max_size=20))
def test_no_name_breaks_the_search(name):
    try:
        policy_named(name)
    except SettingError:
        assert name not in POLICIES
