"""One cell: what it may see, what it must not, and that nothing but its seed decides."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from small_wild import textures

from feint.core.errors import InputError
from feint.data.decoding import decode
from feint.data.images import ImageSet
from feint.studies.wild_cell import WildCell, WildImages, divided, drawn, wild_experiment
from feint.studies.wild_images import near_copies

LEVELS = (0.1, 0.2, 0.4)
BASE = WildCell(
    detector="simclr/resnet8", kind="simclr", encoder="resnet8",
    settings={"steps": 2, "batch": 8, "test_share": 0.3, "validation_share": 0.1},
    augmentation="mae", views="mae", data="tiles", normal="good", anomaly="rest", seed=0, images="",
    task="20%", level=0.2, probe_level=0.2, levels=LEVELS, base="total", total=None,
)  # fmt: skip
MAE = {"detector": "mae/vit_micro", "kind": "mae", "encoder": "vit_micro/4"}


class Here:
    """An array that is shared with no one."""

    def __init__(self, array):
        self.array = array

    def open(self):
        return self.array


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    pixels = np.concatenate([textures(n, defects=bad, generator=generator) for n, bad in ((60, False), (30, True))])
    return WildImages(
        pixels=Here(pixels[:, None]),
        labels=np.repeat([0, 1], [60, 30]),
        groups=None,
        hashes=tuple(f"{number}" for number in range(90)),
        alike=np.zeros((0, 2), np.intp),
    )


def values(cell, images):
    results, arrays = wild_experiment(cell, images)
    return {each.metric: each.value for each in results}, arrays


def rows_of(cell, images, level):
    pool = divided(cell, images).pool
    return pool[drawn(cell, images.labels[pool], level).sets[0].rows]


def test_levels_are_nested_both_ways_and_of_one_size(images):
    sets = [rows_of(BASE, images, level) for level in LEVELS]
    assert len({len(rows) for rows in sets}) == 1
    counts = [images.labels[rows].sum() for rows in sets]
    assert counts == [round(level * len(sets[0])) for level in LEVELS]
    for fewer, more in pairwise(sets):
        labels = images.labels[fewer], images.labels[more]
        assert set(fewer[labels[0] == 1]) < set(more[labels[1] == 1])
        assert set(fewer[labels[0] == 0]) > set(more[labels[1] == 0])


@pytest.mark.parametrize("seed", range(3))
def test_no_image_of_the_tests_is_trained_on(images, seed):
    cell = replace(BASE, seed=seed, level=0.1, probe_level=0.4)
    split = divided(cell, images)
    trained = {*rows_of(cell, images, 0.1), *rows_of(cell, images, 0.4)}
    assert not trained & {*split.test_natural, *split.test_balanced, *split.val_balanced}
    assert not {*split.test_natural} & {*split.val_balanced}


def test_pretraining_and_probe_have_levels_of_their_own(images):
    """The encoder of one level is the same whatever the probe's level, and the probe's labels are of its own."""
    (tied, logits), (apart, others) = (values(replace(BASE, probe_level=level), images) for level in (0.2, 0.4))
    unlabelled = [name for name in tied if name.startswith(("free:", "auroc:knn", "auroc:gmm"))]
    assert len(unlabelled) > 20
    assert {name: tied[name] for name in unlabelled} == {name: apart[name] for name in unlabelled}
    assert not np.array_equal(logits["wild.logits"], others["wild.logits"])
    other = values(replace(BASE, level=0.4, probe_level=0.2), images)[0]
    assert other["free:rankme"] != tied["free:rankme"]


def test_every_level_sees_as_many_images(images):
    trainings = {replace(BASE, level=level).training() for level in LEVELS}
    assert {(each.steps, each.batch) for each in trainings} == {(2, 8)}


def test_only_the_seed_decides_and_global_generators_are_left_alone(images):
    found = []
    for number, kind in enumerate(["simclr", "simclr", "supervised", "supervised"]):
        np.random.seed(number)  # noqa: NPY002 it must not matter
        torch.manual_seed(number)
        before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
        found.append(values(replace(BASE, kind=kind), images)[0])
        assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
        assert torch.equal(before[1], torch.get_rng_state())
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert values(replace(BASE, kind="supervised", seed=1), images)[0] != found[2]


def test_a_masked_autoencoder_is_judged_on_its_own_terms_too(images):
    found, arrays = values(replace(BASE, **MAE), images)
    assert 0 <= found["auroc:reconstruction"] <= 1
    assert "auroc:reconstruction" not in values(replace(BASE, kind="untrained"), images)[0]
    assert found["free:rankme@projector"] == found["free:rankme"], "it has no projector"
    assert arrays["wild.rows"].tolist() == divided(BASE, images).test_natural.tolist()
    assert arrays["wild.labels"].tolist() == images.labels[arrays["wild.rows"]].tolist()


def test_the_baseline_of_average_precision_is_told(images):
    found, arrays = values(replace(BASE, kind="supervised"), images)
    assert found["prevalence"] == 0.5
    assert found["prevalence:natural"] == arrays["wild.labels"].mean() == pytest.approx(1 / 3)


def test_a_level_that_weighs_its_classes_alike_is_corrected_for_that(images):
    """At even odds of learning and of testing there is nothing to correct."""
    found, _ = values(replace(BASE, kind="supervised-weighted", level=0.1, probe_level=0.1), images)
    assert found["f1:corrected"] == found["f1"]


def test_a_level_that_is_not_feasible_hinders_no_other(images):
    cell = replace(BASE, total=30, levels=())
    assert len(rows_of(cell, images, 0.1)) == len(rows_of(cell, images, 0.2)) == 30
    with pytest.raises(InputError, match=r"N = 30 is too many .* 70% takes 21 anomalous"):
        rows_of(cell, images, 0.7)


@pytest.mark.parametrize("how", ["alike", "hashes", "groups"])
def test_what_shows_one_thing_is_never_divided(images, how):
    pairs = np.array([[row, row + 1] for row in range(0, 90, 2)])
    names = tuple(str(row // 2) for row in range(90))
    tied = replace(images, **{how: pairs if how == "alike" else names})
    for seed in range(3):
        split = divided(replace(BASE, seed=seed), tied)
        for rows in (split.pool, split.test_natural):
            assert set(rows ^ 1) == set(rows)


def near(pictures):
    picture_set = ImageSet(tuple(str(n) for n in range(len(pictures))), "here", "array", tuple(pictures))
    return near_copies(decode(picture_set, [], workers=1).thumbnails)


def test_near_copies_are_found():
    pictures = textures(60, defects=False, generator=np.random.default_rng(0)).clip(0, 200)
    pictures[7] = pictures[3] + 5
    pairs, notes = near(pictures)
    assert pairs.tolist() == [[3, 7]]
    assert notes == []


def test_where_everything_looks_alike_thumbnails_do_not_tell():
    generator = np.random.default_rng(0)
    part = textures(1, defects=True, generator=generator)
    pictures = (part + generator.integers(0, 2, (40, 16, 16))).clip(0, 255).astype(np.uint8)
    pairs, (note,) = near(pictures)
    assert len(pairs) == 0
    assert note.startswith("40 of 40 images look alike")


def test_among_very_many_images_near_copies_are_not_looked_for(monkeypatch):
    monkeypatch.setattr("feint.studies.wild_images.COMPARED", 30)
    pictures = textures(31, defects=False, generator=np.random.default_rng(0))
    pairs, (note,) = near(pictures)
    assert len(pairs) == 0
    assert "not looked for among 31 images" in note
