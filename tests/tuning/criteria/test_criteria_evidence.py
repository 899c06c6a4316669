"""What a candidate's evidence lets in, and what the catalogue of criteria holds."""

import numpy as np
import pytest

from feint.core.errors import InputError, SettingError
from feint.tuning.criteria import CRITERIA, MMD, Evidence, Excess, ExcessMass, ModelCentrality, Sinkhorn


def test_every_criterion_is_listed_under_its_name():
    assert {key: each.name for key, each in CRITERIA.items()} == {key: key for key in CRITERIA}


def test_no_criterion_can_see_a_label():
    seen = set().union(*(each.needs for each in CRITERIA.values()))
    assert not any("label" in part for part in (*seen, *Evidence.__dataclass_fields__))


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"pool": np.zeros((3, 1))}, r"pool must have 1 dimension\(s\): got shape \(3, 1\)"),
        ({"pool_embeddings": np.zeros(3)}, r"pool_embeddings must have 2 dimension"),
        ({"pool": np.zeros(3), "again": np.zeros((2, 4))}, r"again must score the images of pool: got \[3, 4\]"),
        (
            {"normal_embeddings": np.zeros((3, 2)), "pool_embeddings": np.zeros((3, 5))},
            r"one encoder: got \[2, 5\] features",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, told):
    with pytest.raises(InputError, match=told):
        Evidence(**parts)


def test_a_list_of_single_precision_is_held_as_double():
    evidence = Evidence(pool=[1, 2], again=[np.float32([1, 2]), np.float32([2, 1])])
    assert evidence.part("again").dtype == np.float64
    assert evidence.part("again").shape == (2, 2)


def test_no_other_seeds_are_as_none():
    assert np.isnan(CRITERIA["rank-stability"].values([Evidence(pool=[1, 2], again=[])], seed=0)).all()


def test_a_missing_part_is_named():
    with pytest.raises(InputError, match="pseudo is missing"):
        Evidence(pool=[1.0]).part("pseudo")


@pytest.mark.parametrize("make", [
    lambda: Excess(level=1.0), lambda: MMD(kernel="cubic"), lambda: Sinkhorn(blur=0.0),
    lambda: Sinkhorn(scaling=1.0), lambda: ExcessMass(subspaces=0),
])  # fmt: skip
def test_impossible_settings_are_refused(make):
    with pytest.raises(SettingError):
        make()


def test_a_consensus_on_different_pools_is_an_error():
    with pytest.raises(InputError, match=r"same pool: got pools of \[2, 3\]"):
        ModelCentrality().values([Evidence(pool=[1, 2]), Evidence(pool=[1, 2, 3])], seed=0)
