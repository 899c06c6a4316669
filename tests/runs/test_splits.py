"""Nothing is used twice: every normal image has one role, copies of it the same one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feint.core.errors import InputError
from feint.runs.splits import divide


def roles_of(rotation):
    return rotation.training, rotation.selection, rotation.calibration


def test_one_rotation_is_60_20_20():
    (rotation,) = divide(list(range(200)), needed=1, seed=0)
    assert [len(role) for role in roles_of(rotation)] == [120, 40, 40]


def test_calibration_grows_with_the_rate_asked():
    (rotation,) = divide(list(range(300)), needed=99, seed=0)
    assert [len(role) for role in roles_of(rotation)] == [141, 60, 99]


@pytest.mark.parametrize(("n", "needed"), [(99, 1), (20, 19), (110, 99)])
def test_few_images_for_the_rate_are_cross_fitted(n, needed):
    rotations = divide(list(range(n)), needed=needed, seed=0)
    assert len(rotations) == 5
    assert sorted(np.concatenate([each.calibration for each in rotations])) == list(range(n))
    assert sorted(np.concatenate([each.selection for each in rotations])) == list(range(n))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(20, 260),
    copies=st.integers(1, 4),
    needed=st.integers(1, 60),
    seed=st.integers(0, 2**31),
)
def test_roles_are_disjoint_cover_everything_and_never_part_copies(n, copies, needed, seed):
    groups = np.sort(np.random.default_rng(seed).integers(0, n // copies, n)).tolist()
    try:
        rotations = divide(groups, needed=needed, seed=seed)
    except InputError:
        assert len(set(groups)) < 20  # refused only where copies leave few different images
        return
    for rotation in rotations:
        roles = roles_of(rotation)
        assert sorted(np.concatenate(roles)) == list(range(n))
        kinds = [{groups[i] for i in role} for role in roles]
        assert all(kinds)
        assert sum(map(len, kinds)) == len(set(groups))
    assert sum(len(each.calibration) for each in rotations) >= min(needed, n)


def test_the_seed_decides():
    calibration = [divide(list(range(150)), needed=1, seed=seed)[0].calibration.tolist() for seed in (0, 0, 1)]
    assert calibration[0] == calibration[1] != calibration[2]


@pytest.mark.parametrize("groups", [[0] * 60 + [1] * 60, [0] * 95 + list(range(1, 16))])
def test_copies_that_leave_a_role_empty_are_refused(groups):
    with pytest.raises(InputError, match="copies of only"):
        divide(groups, needed=1, seed=0)
