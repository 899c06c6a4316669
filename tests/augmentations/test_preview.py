"""The contact sheet: where its tiles stand, and what they show."""

import pytest
import torch

from feint.augmentations.policies import policy_named
from feint.augmentations.preview import contact_sheet
from feint.core.streams import stream

SIDE, GAP = 96, 2


def images(n: int = 3, channels: int = 3, side: int = SIDE) -> torch.Tensor:
    return torch.randint(0, 256, (n, channels, side, side), generator=stream(0), dtype=torch.uint8)


def tile(sheet: torch.Tensor, row: int, column: int, side: int = SIDE) -> torch.Tensor:
    """Return a tile (c, h, w) of the sheet."""
    top, left = row * (side + GAP), column * (side + GAP)
    return sheet[top : top + side, left : left + side].permute(2, 0, 1)


def test_originals_stand_on_the_left_and_outcomes_beside_them():
    given = images()
    sheet = contact_sheet(given, policy_named("rotate"), columns=8, seed=0)
    assert sheet.shape == (3 * (SIDE + GAP), 4 * (SIDE + GAP), 3), "four columns for four outcomes"
    for row in range(3):
        for column in range(4):
            assert torch.equal(tile(sheet, row, column), torch.rot90(given[row], column, (1, 2)))


def test_few_columns_show_different_outcomes_of_many():
    sheet = contact_sheet(images(1), policy_named("geom"), columns=6, seed=0)
    shown = {tuple(tile(sheet, 0, column).flatten().tolist()) for column in range(6)}
    assert len(shown) == 6


def test_draws_differ_and_the_seed_decides_them():
    first, again, other = (contact_sheet(images(2), policy_named("noise"), columns=4, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(tile(first, 1, 0), images(2)[1])
    assert not torch.equal(tile(first, 0, 1), tile(first, 0, 2))


@pytest.mark.parametrize(("side", "factor"), [(32, 3), (40, 2), (60, 1), (200, 1)])
def test_small_grey_images_are_enlarged_by_a_whole_factor(side, factor):
    given = images(1, 1, side)
    sheet = contact_sheet(given, policy_named("invert"), columns=2, seed=0)
    large = given[0].repeat_interleave(factor, 1).repeat_interleave(factor, 2).expand(3, -1, -1)
    assert torch.equal(tile(sheet, 0, 0, factor * side), large)
    assert torch.equal(tile(sheet, 0, 1, factor * side), 255 - large)
