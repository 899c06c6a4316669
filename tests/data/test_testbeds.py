import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_testbeds import CLASSES, class_arrays, made

from feint.core.errors import SettingError
from feint.core.streams import numpy_stream
from feint.data.testbed_draws import draw_boxes, pool_rows
from feint.data.testbeds import TestbedSettings, normal_names, normal_sets, task_names

ALL = ("one-vs-one", "one-vs-rest", "controlled")


@pytest.fixture
def arrays():
    return class_arrays()


@pytest.fixture
def npz(tmp_path, arrays):
    np.savez(tmp_path / "tiny.npz", **arrays)
    return tmp_path / "tiny.npz"


def rows_of(ids, split):
    """Return the rows that ids such as 'test/12' name."""
    assert all(each.startswith(f"{split}/") for each in ids)
    return [int(each.partition("/")[2]) for each in ids]


def test_one_vs_one_covers_every_pair_and_shares_the_test_pictures(npz, arrays):
    sets = made(npz, "one-vs-one")
    assert [(each.normal, task.anomaly) for each in sets for task in each.tasks] == [
        (str(a), str(b)) for a in range(CLASSES) for b in range(CLASSES) if a != b
    ]
    for label, each in enumerate(sets):
        assert each.data == "tiny"
        assert np.array_equal(each.train[:, 0], arrays["x_train"][arrays["y_train"] == label])
        assert np.array_equal(each.test[:, 0], arrays["x_test"])
        assert np.shares_memory(each.test, sets[0].test)
        assert [each.names[kind] for kind in each.kinds] == [str(y) for y in arrays["y_test"]]
        assert each.names[0] == each.normal
        assert rows_of(each.ids, "test") == list(range(len(arrays["y_test"])))
        for task, pool in zip(each.tasks, each.pools, strict=True):
            assert np.array_equal(pool, np.flatnonzero(np.isin(arrays["y_test"], [label, int(task.anomaly)])))
            assert set(each.kinds[pool]) == {0, *task.kinds}
        assert (each.masks, each.masked, each.boxes, each.hidden, each.skipped) == (None, None, None, (), ())


def test_one_vs_rest(npz, arrays):
    for each in made(npz, "one-vs-rest"):
        assert [task.anomaly for task in each.tasks] == ["rest"]
        assert np.array_equal(each.pools[0], np.arange(len(arrays["y_test"])))


def test_controlled_anomalies_are_made_of_normal_test_pictures_alone(npz, arrays):
    for label, each in enumerate(made(npz, "controlled")):
        normal = arrays["x_test"][arrays["y_test"] == label]
        test = each.test
        assert test.dtype == np.uint8
        assert np.array_equal(test, each.test)
        plain, flipped, cut, inverted = test[:, 0].reshape(4, len(normal), 8, 8)
        assert np.array_equal(plain, normal)
        assert np.array_equal(flipped, normal[:, ::-1])
        assert np.array_equal(inverted, 255 - normal)
        for i, (top, left, height, width) in enumerate(each.boxes):
            expected = normal[i].copy()
            expected[top : top + height, left : left + width] = 0
            assert np.array_equal(cut[i], expected)
        assert each.names == (str(label), "flip", "cutout", "invert")
        assert [len(pool) for pool in each.pools] == [2 * len(normal)] * 3
        assert all((each.kinds[pool] == 0).sum() == len(normal) for pool in each.pools)
        assert len(set(each.ids)) == len(test)
        assert each.ids[len(normal)] == f"{each.ids[0]}:flip"
        assert each.ids[-1] == f"{each.ids[len(normal) - 1]}:invert"


def test_all_testbeds_at_once_keep_their_kinds_apart(npz, arrays):
    sets = made(npz, *ALL)
    assert np.shares_memory(sets[0].pictures.pixels, sets[2].pictures.pixels)
    for each in sets:
        assert len(each.test) == len(each.kinds) == len(each.ids) == len(arrays["y_test"]) + 3 * 10
        assert [task.anomaly for task in each.tasks[-4:]] == ["rest", "flip", "cutout", "invert"]
        rest = each.pools[2]
        assert rest.max() < len(arrays["y_test"])
        cutouts = each.pools[4][each.kinds[each.pools[4]] != 0]
        assert all(each.ids[row].endswith(":cutout") for row in cutouts)


@pytest.mark.parametrize("side", [32, 64, 256])
def test_boxes(side):
    boxes = draw_boxes(4000, (side, side), numpy_stream(0, "boxes"))
    top, left, height, width = boxes.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= side).all() and (left + width <= side).all()
    assert height.max() < side and width.max() < side
    area, aspect = height * width / side**2, height / width
    slack = 1.5 / (side * 0.02**0.5 * 0.3**0.5)  # one side rounds by half a pixel, the shorter one hardest
    assert area.min() > 0.02 * (1 - slack) and area.max() < 0.33 * (1 + slack)
    assert aspect.min() > 0.3 * (1 - slack) and aspect.max() < 3.3 * (1 + slack)
    assert abs(np.median(area) - 0.17) < 0.02
    assert abs(np.median(np.log(aspect))) < 0.05  # log-uniform, (nearly) symmetric: .3 = 1 / 3.33
    assert abs(np.mean(top / np.maximum(side - height, 1)) - 0.5) < 0.02


def test_draws_follow_the_seed_and_nothing_else(npz):
    settings = {"train_limit": 7, "test_limit": 4, "contamination": 0.2, "anomaly_share": 0.3}
    first, again, other = (made(npz, *ALL, seed=seed, **settings) for seed in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        assert np.array_equal(a.train, b.train) and np.array_equal(a.test, b.test)
        assert (a.ids, a.hidden) == (b.ids, b.hidden)
        assert all(np.array_equal(p, q) for p, q in zip(a.pools, b.pools, strict=True))
        assert not np.array_equal(a.train[:7], c.train[:7])
        assert a.hidden != c.hidden
        assert a.ids != c.ids
    alone = made(npz, "one-vs-one", normal=("1",), train_limit=7)[0]
    assert np.array_equal(alone.train, first[1].train[:7])


def test_limits(npz, arrays):
    for label, each in enumerate(made(npz, "one-vs-one", train_limit=5, test_limit=3)):
        assert len(each.train) == 5
        known = {image.tobytes() for image in arrays["x_train"][arrays["y_train"] == label]}
        assert len({image.tobytes() for image in each.train} & known) == 5
        assert np.bincount(each.kinds).tolist() == [3] * CLASSES
        assert np.array_equal(each.test[:, 0], arrays["x_test"][rows_of(each.ids, "test")])
    assert len(made(npz, "one-vs-one", train_limit=500)[0].train) == 20


def test_chosen_normals_and_anomalies(npz):
    sets = made(npz, "one-vs-one", normal=("2", "0"), anomalies=("1", "0"), contamination=0.1)
    assert [(each.normal, [task.anomaly for task in each.tasks]) for each in sets] == [("0", ["1"]), ("2", ["0", "1"])]
    assert sets[0].names == ("0", "1")
    assert set(sets[0].kinds) == {0, 1}
    assert len(sets[0].pictures.pixels) == 30  # shared with the other set, which needs all classes
    assert len(sets[0].test) == 20
    both = made(npz, "one-vs-one", "one-vs-rest", anomalies=("1",), normal=("0",))[0]
    assert [(task.testbed, len(pool)) for task, pool in zip(both.tasks, both.pools, strict=True)] == [
        ("one-vs-one", 20), ("one-vs-rest", 30),
    ]  # fmt: skip


def test_contamination_by_other_classes(npz, arrays):
    for label, each in enumerate(made(npz, "one-vs-one", contamination=0.2)):
        assert len(each.hidden) == 5  # of 25
        rows = rows_of(each.hidden, "train")
        assert len(set(rows)) == 5
        assert (arrays["y_train"][rows] != label).all()
        assert np.array_equal(each.train[-5:, 0], arrays["x_train"][rows])
        assert np.array_equal(each.train[:-5, 0], arrays["x_train"][arrays["y_train"] == label])
    only = made(npz, "one-vs-one", normal=("0",), anomalies=("2",), contamination=0.2)[0]
    assert (arrays["y_train"][rows_of(only.hidden, "train")] == 2).all()
    with pytest.raises(SettingError, match=r"needs 20 anomalous images for 0, but 4 can be spared"):
        fewer = {key: value[:44] if "train" in key else value for key, value in sorted_by_class(arrays).items()}
        np.savez(npz, **fewer)
        made(npz, "one-vs-one", normal=("0",), anomalies=("2",), contamination=0.5)


def sorted_by_class(arrays):
    order = np.argsort(arrays["y_train"])
    return arrays | {"x_train": arrays["x_train"][order], "y_train": arrays["y_train"][order]}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_of_anomalies_in_the_pools(npz, share):
    for each in made(npz, *ALL, anomaly_share=share):
        for task, pool in zip(each.tasks, each.pools, strict=True):
            anomalous = np.isin(each.kinds[pool], task.kinds)
            assert (anomalous | (each.kinds[pool] == 0)).all()
            assert abs(anomalous.mean() - share) < 0.06


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.01, 0.99))
def test_pools_waste_nothing(normals, anomalies, share):
    rows = pool_rows(np.arange(normals), normals + np.arange(anomalies), share, numpy_stream(0, "pool"))
    assert (np.diff(rows) > 0).all()
    kept = (int((rows < normals).sum()), int((rows >= normals).sum()))
    assert min(kept) >= 1
    assert kept[0] == normals or kept[1] == anomalies
    exact = kept[0] * share / (1 - share), kept[1] * (1 - share) / share
    assert abs(kept[1] - exact[0]) <= 0.5 or abs(kept[0] - exact[1]) <= 0.5 or 1 in kept


def test_class_sets_become_32_pixels(tmp_path):
    arrays = class_arrays(per_class=3, tests=2, shape=(28, 28))
    np.savez(tmp_path / "digits.npz", **arrays)
    settings = TestbedSettings(tasks=("one-vs-rest",))
    found = normal_sets(tmp_path, name="digits", settings=settings, seed=0)[0]
    assert found.test.shape == (6, 1, 32, 32)
    resized = Image.fromarray(arrays["x_test"][4]).resize((32, 32), Image.Resampling.BILINEAR)
    assert np.array_equal(found.test[4, 0], np.asarray(resized))


def test_names_are_those_of_the_sets(npz):
    settings = TestbedSettings(tasks=ALL, anomalies=("0",), normal=("1", "2"), size=8)
    names = task_names(npz, name="tiny", settings=settings)
    sets = normal_sets(npz, name="tiny", settings=settings, seed=0)
    assert names == {each.normal: [(task.testbed, task.anomaly) for task in each.tasks] for each in sets}
    assert normal_names(npz, name="tiny", settings=settings) == list(names) == ["1", "2"]
