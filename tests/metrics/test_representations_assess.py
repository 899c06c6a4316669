"""All metrics at once: keys, what is recorded, agreement with the plain functions, gaps instead of crashes."""

import math

import numpy as np
import pytest

from feint.core.errors import InputError, SettingError
from feint.metrics import representations
from feint.metrics.representations import DIRECTIONS, assess, better

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(400, 24)) * np.arange(1, 25) ** -0.5 + 0.5
VIEWS = RNG.normal(size=(60, 1, 24)) + 0.3 * RNG.normal(size=(60, 5, 24))
FOUND = assess(Z, seed=3, views=VIEWS, pair=(Z, Z + 0.1))


ELSEWHERE = {key for key in DIRECTIONS if key.startswith(("clid", "pseudo_probe", "pseudo_neighbours"))}


def test_every_metric_of_embeddings_alone_is_there():
    assert list(FOUND) == [key for key in DIRECTIONS if key not in ELSEWHERE]
    assert set(DIRECTIONS) - set(assess(Z, seed=3)) == ELSEWHERE | {"lidar", "alignment"}
    for key, each in FOUND.items():
        assert math.isfinite(each.value), key
        assert each.direction == DIRECTIONS[key]
        assert (each.n, each.d) == ((60, 24) if key == "lidar" else (400, 24))
        assert each.dtype == "float64"
        assert each.note == ""


def test_values_are_those_of_the_plain_functions():
    for key in ("rankme", "rankme_centred", "eig_rank", "nesum", "stable_rank", "pseudo_condition", "self_cluster"):
        assert FOUND[key].value == getattr(representations, key)(Z)
    assert FOUND["std_of_l2"].value == representations.std_of_l2(Z)
    assert (FOUND["coherence"].value, FOUND["coherence_p99"].value) == representations.coherence(Z)
    assert FOUND["uniformity"].value == representations.uniformity(Z, seed=3)
    assert FOUND["cluster_learnability"].value == representations.cluster_learnability(Z, seed=3)
    assert FOUND["intrinsic_dimension"].value == representations.two_nn(Z, seed=3)
    assert FOUND["lidar"].value == representations.lidar(VIEWS)
    assert FOUND["alignment"].value == representations.alignment(Z, Z + 0.1)
    law = representations.alpha_req(Z)
    assert FOUND["alpha_req"].value == law.alpha
    assert FOUND["alpha_req"].details == {"r2": law.r2, "first_rank": 5, "last_rank": 12}


def test_centring_and_eps_are_recorded():
    centred = {key for key, each in FOUND.items() if each.centring == "mean"}
    assert centred == {"rankme_centred", "eig_rank", "alpha_req", "nesum"}
    assert FOUND["lidar"].centring == "class means"
    assert {key: each.eps for key, each in FOUND.items() if each.eps is not None} == {
        "rankme": 1e-7,
        "rankme_centred": 1e-7,
        "lidar": 1e-8,
    }
    moved = assess(Z + 5, seed=3)
    for key in centred:
        assert moved[key].value == pytest.approx(FOUND[key].value, rel=1e-9)
    assert moved["rankme"].value < FOUND["rankme"].value - 1


def test_the_type_that_came_is_recorded_and_arrays_stay_as_they_are():
    z = Z.astype(np.float32)
    z.flags.writeable = False
    found = assess(z, seed=3)
    assert {each.dtype for each in found.values()} == {"float32"}
    for key, each in found.items():
        if key != "cluster_learnability":
            assert each.value == pytest.approx(FOUND[key].value, rel=1e-4, abs=1e-6)


def test_few_images_are_noted():
    found = assess(RNG.normal(size=(30, 24)), seed=0, views=VIEWS[:10])
    assert found["rankme"].note.startswith("30 images for 24 features")
    assert math.isnan(found["alpha_req"].value)
    assert "Take more images" in found["alpha_req"].note
    assert found["lidar"].note == "10 images for 24 features: it cannot exceed 9."


@pytest.mark.parametrize("z", [np.zeros((30, 8)), np.ones((30, 8)), np.ones((1, 8)), np.ones((6, 1))])
def test_degenerate_embeddings_give_values_or_notes(z):
    found = assess(z, seed=0)
    for each in found.values():
        assert math.isfinite(each.value) or each.note
    assert found["rankme"].value == pytest.approx(1, abs=1e-4)
    assert found["rankme_centred"].value == 1
    assert math.isnan(found["intrinsic_dimension"].value)


def test_zero_embeddings_are_noted():
    assert assess(np.zeros((30, 8)), seed=0)["rankme"].note == "all embeddings are zero."


def test_wrong_input_is_refused_and_not_a_gap():
    bad = Z.copy()
    bad[3, :4] = np.nan
    with pytest.raises(InputError, match="got 4 NaN"):
        assess(bad, seed=0)
    with pytest.raises(InputError, match="first view"):
        assess(Z, seed=0, pair=(bad[0], Z))
    with pytest.raises(InputError, match="embeddings of views"):
        assess(Z, seed=0, views=Z)


def test_better_turns_every_direction_upwards():
    assert better("rankme", 3.0) > better("rankme", 2.0)
    assert better("uniformity", -3.0) > better("uniformity", -2.0)
    assert better("alpha_req", 1.1) == pytest.approx(better("alpha_req", 0.9))
    assert better("alpha_req", 1.1) > better("alpha_req", 0.5)
    with pytest.raises(SettingError, match="no direction"):
        better("intrinsic_dimension", 3.0)
    with pytest.raises(SettingError, match="'rank_me'"):
        better("rank_me", 3.0)
