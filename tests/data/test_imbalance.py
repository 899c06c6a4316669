import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feint.core.errors import InputError, SettingError
from feint.data.imbalance import LabelledSplit, level_name, nested, split_labelled

LEVELS = [0.01, 0.02, 0.05, 0.15]


def labels_of(normals, anomalies):
    return np.random.default_rng(0).permutation(np.repeat([0, 1], [normals, anomalies]))


def parts(split: LabelledSplit):
    """Return the parts that share nothing."""
    return (split.pool, np.concatenate([split.val_balanced, split.left_out]), split.test_natural)


class TestNested:
    @pytest.mark.parametrize(("base", "counts"), [("total", [100, 200, 500, 1500]), ("normal", [99, 196, 476, 1304])])
    def test_the_counts_of_both_bases(self, base, counts):
        found = nested(labels_of(10_000, 1_500), LEVELS, total=10_000, base=base, seed=0)
        assert [each.anomalies for each in found.sets] == counts
        assert [each.normals for each in found.sets] == [10_000 - count for count in counts]
        assert found.total == 10_000
        assert found.warnings == ()

    @given(
        normals=st.integers(20, 300),
        anomalies=st.integers(2, 300),
        levels=st.lists(st.sampled_from([0, 0.01, 0.02, 0.05, 0.15, 0.3, 0.5, "natural"]), min_size=1, unique=True),
        base=st.sampled_from(["total", "normal"]),
    )
    @settings(max_examples=30, deadline=None)
    def test_sets_are_nested_both_ways_and_of_one_size_which_is_the_largest(self, normals, anomalies, levels, base):
        y = labels_of(normals, anomalies)
        found = nested(y, levels, base=base, seed=3)
        for each in found.sets:
            assert len(np.unique(each.rows)) == len(each.rows) == found.total
            assert y[each.rows].sum() == each.anomalies == found.total - each.normals
            assert y[each.rows[: each.anomalies]].all()
        ordered = sorted(found.sets, key=lambda each: each.anomalies)
        for low, high in itertools.pairwise(ordered):
            assert set(low.rows[: low.anomalies]) <= set(high.rows[: high.anomalies])
            assert set(high.rows[high.anomalies :]) <= set(low.rows[low.anomalies :])
        if found.total < normals + anomalies:
            with pytest.raises(InputError, match=f"N <= {found.total}"):
                nested(y, levels, base=base, total=found.total + 1, seed=3)

    def test_half_is_balanced_and_natural_is_the_share_of_the_pool(self):
        found = nested(labels_of(300, 100), [0.5, "natural"], total=200, seed=0)
        assert [(each.normals, each.anomalies) for each in found.sets] == [(100, 100), (150, 50)]

    def test_one_of_the_normals_is_balanced(self):
        (found,) = nested(labels_of(300, 100), [1], base="normal", total=200, seed=0).sets
        assert (found.normals, found.anomalies) == (100, 100)

    def test_another_call_with_another_level_is_nested_in_the_first(self):
        y = labels_of(500, 100)
        (pretraining,) = nested(y, [0.15], total=400, seed=1).sets
        (probe,) = nested(y, [0.02], total=400, seed=1).sets
        assert set(probe.rows[:8]) <= set(pretraining.rows[:60])
        assert set(pretraining.rows[60:]) <= set(probe.rows[8:])

    def test_the_seed_alone_decides(self):
        y = labels_of(500, 100)
        first, again, other = (nested(y, [0.05], total=100, seed=seed).sets[0].rows for seed in (1, 1, 2))
        assert (first == again).all()
        assert set(first) != set(other)

    def test_levels_with_few_anomalies_are_warned_of_with_the_count(self):
        found = nested(labels_of(500, 100), [0, 0.01, 0.02, 0.15], total=450, seed=0)
        assert [warning.split(":")[0] for warning in found.warnings] == [
            "level 1% leaves 4 anomalous of 450 images, under 10",
            "level 2% leaves 9 anomalous of 450 images, under 10",
        ]

    def test_an_infeasible_level_says_what_it_takes(self):
        with pytest.raises(InputError, match=r"1000 normal and 20 .*: 5% takes 50 anomalous and 950 .* N <= 410"):
            nested(labels_of(1000, 20), [0.01, 0.05], total=1000, seed=0)
        with pytest.raises(InputError, match=r"100 normal and 50 .*: 1% takes 1 anomalous and 119 normal .* N <= 101"):
            nested(labels_of(100, 50), [0.01, 0.05], total=120, seed=0)

    def test_a_pool_too_small_for_any_set(self):
        with pytest.raises(InputError, match="no training set can be made of 0 normal and 5 anomalous"):
            nested([1] * 5, [0.5, 0.0], seed=0)

    @pytest.mark.parametrize(
        ("levels", "base", "message"),
        [
            ([], "total", "at least one level"),
            ([1.0], "total", "below 1 of the total: got 1.0"),
            ([1.5], "normal", "at most 1 of the normals: got 1.5"),
            (["balance"], "total", "got 'balance'"),
            ([float("nan")], "total", "got nan"),
            ([0.1, 0.1], "total", "0.1 is given twice"),
            ([0.1], "defects", "total or normal: got 'defects'"),
        ],
    )
    def test_levels_that_are_none(self, levels, base, message):
        with pytest.raises(SettingError, match=message):
            nested(labels_of(50, 50), levels, base=base, seed=0)

    @pytest.mark.parametrize(("level", "name"), [(0.01, "1%"), (0.005, "0.5%"), (0.5, "50%"), ("natural", "natural")])
    def test_names_of_levels(self, level, name):
        assert level_name(level) == name


class TestSplit:
    def test_single_images_are_divided_exactly(self):
        y = labels_of(800, 200)
        split = split_labelled(y, seed=0)
        assert [(len(rows), int(y[rows].sum())) for rows in (split.test_natural, split.test_balanced)] == [
            (300, 60), (120, 60),
        ]  # fmt: skip
        assert (len(split.val_balanced), int(y[split.val_balanced].sum())) == (40, 20)
        assert (len(split.pool), int(y[split.pool].sum())) == (660, 120)
        assert not len(split.left_out)

    @given(
        sizes=st.lists(st.integers(1, 6), min_size=60, max_size=90),
        seed=st.integers(0, 5),
        share=st.sampled_from([0.2, 0.5, 0.7]),
        twins=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=8),
    )
    @settings(max_examples=30, deadline=None)
    def test_nothing_that_belongs_together_is_divided(self, sizes, seed, share, twins):
        group = np.repeat(np.arange(len(sizes)), sizes)
        rng = np.random.default_rng(seed)
        y = (rng.random(len(group)) < share).astype(int)
        hashes = [f"pixels {i}" for i in range(len(group))]
        for a, b in twins:
            hashes[b] = hashes[a]
        alike = rng.integers(0, len(group), (4, 2))
        split = split_labelled(y, groups=group.tolist(), hashes=hashes, alike=alike, seed=seed)
        place = np.full(len(y), -1)
        for which, rows in enumerate(parts(split)):
            assert (place[rows] == -1).all()
            place[rows] = which
        assert (place >= 0).all()
        for keys in (group, np.array(hashes)):
            for key in np.unique(keys):
                assert len(np.unique(place[keys == key])) == 1
        assert (place[alike[:, 0]] == place[alike[:, 1]]).all()
        for rows in (split.val_balanced, split.test_balanced):
            assert 2 * y[rows].sum() == len(rows)
        assert np.isin(split.test_balanced, split.test_natural).all()

    def test_groups_keep_the_shares_of_both_kinds(self):
        group = np.repeat(np.arange(200), 5)
        y = np.repeat(np.arange(200) % 10 == 0, 5).astype(int)
        split = split_labelled(y, groups=group.tolist(), seed=4)
        assert abs(len(split.test_natural) - 300) <= 10
        assert abs(int(y[split.test_natural].sum()) - 30) <= 5
        assert abs(int(y[split.pool].sum()) - 60) <= 5

    def test_no_group_is_no_bond(self):
        y = labels_of(80, 20)
        alone = split_labelled(y, seed=0)
        for nothing in (None, ""):
            split = split_labelled(y, groups=[nothing] * 100, hashes=[nothing] * 100, seed=0)
            assert (split.pool == alone.pool).all()

    def test_the_seed_alone_decides(self):
        y = labels_of(80, 20)
        first, again, other = (split_labelled(y, seed=seed).test_natural for seed in (0, 0, 1))
        assert (first == again).all()
        assert set(first) != set(other)

    def test_three_values_are_listed(self):
        with pytest.raises(InputError, match="got 3 values: 0, 1, 2"):
            split_labelled([0, 1, 2, 1], seed=0)
        with pytest.raises(InputError, match="got 3 values: bad, good, odd"):
            split_labelled(["good", "bad", "odd"], seed=0)
        with pytest.raises(InputError, match="got 2 values: 0.0, nan"):
            nested([0.0, float("nan")], [0.5], seed=0)

    @pytest.mark.parametrize(("y", "keys"), [([0] * 20, None), ([0] * 20 + [1], None), ([0, 1] * 20, ["one"] * 40)])
    def test_too_few_of_a_kind(self, y, keys):
        with pytest.raises(InputError, match="each part needs both"):
            split_labelled(y, groups=keys, seed=0)

    def test_shares_without_a_pool(self):
        with pytest.raises(SettingError, match=r"got \(0.6, 0.4\)"):
            split_labelled([0, 1] * 20, shares=(0.6, 0.4), seed=0)

    def test_a_group_for_each_label(self):
        with pytest.raises(InputError, match="got 3 for 40 labels"):
            split_labelled([0, 1] * 20, groups=["a"] * 3, seed=0)

    def test_no_label_at_all(self):
        with pytest.raises(InputError, match="at least one label"):
            split_labelled([], seed=0)
