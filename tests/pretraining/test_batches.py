"""Which images a step sees and which views of them; several processes are tested with the command."""

import numpy as np
import pytest
import torch

from feint.augmentations.views import views_named
from feint.core.errors import InputError
from feint.core.streams import stream
from feint.pretraining.batches import Batches

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 1, 8, 8), np.uint8)


def batches(n: int = 10, *, batch: int = 4, seed: int = 0) -> Batches:
    return Batches(IMAGES[:n], views_named("defect"), batch=batch, seed=seed)


def test_an_epoch_sees_no_image_twice_and_each_epoch_has_an_order_of_its_own():
    seen = [batches().at(step)[0].tolist() for step in range(6)]
    for first in range(0, 6, 2):
        assert len(set(seen[first] + seen[first + 1])) == 8
    assert len({tuple(each) for each in seen}) == 6


def test_every_image_has_its_turn():
    assert {row for step in range(20) for row in batches().at(step)[0].tolist()} == set(range(10))


def test_a_step_does_not_depend_on_those_before():
    one, other = batches(), batches()
    for step in range(5):
        one.at(step)
    (rows, views), (again, same) = one.at(5), other.at(5)
    assert torch.equal(rows, again)
    assert all(torch.equal(a, b) for a, b in zip(views, same, strict=True))


def test_views_are_those_of_the_images_under_the_streams_of_the_step():
    rows, views = batches().at(3)
    unit = torch.from_numpy(IMAGES[rows.numpy()]).float() / 255
    generator = stream(0, "views", 3)
    for made, view in zip(views, views_named("defect"), strict=True):
        assert torch.equal(made, view(unit, generator=generator))
    assert not torch.equal(*views)


def test_another_seed_sees_other_batches():
    assert batches(seed=1).at(0)[0].tolist() != batches().at(0)[0].tolist()


def test_images_fewer_than_a_batch_are_all_seen_in_each_step():
    few = batches(3, batch=64)
    assert few.batch == 3
    assert [sorted(few.at(step)[0].tolist()) for step in range(3)] == [[0, 1, 2]] * 3


def test_images_mapped_from_a_file_are_read_as_they_are(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    views = Batches(mapped, views_named("defect"), batch=4, seed=0).at(1)[1]
    assert all(torch.equal(a, b) for a, b in zip(views, batches().at(1)[1], strict=True))


@pytest.mark.parametrize(("n", "batch"), [(1, 4), (10, 1)])
def test_a_single_image_is_no_batch(n, batch):
    with pytest.raises(InputError, match="at least 2 images to tell from each other: got 1"):
        batches(n, batch=batch)
