"""The variance split: against sums of squares computed otherwise, and its intervals against data really drawn again."""

from itertools import product

import numpy as np
import pytest

from feint.core.errors import InputError, SettingError
from feint.stats.clusters import Clusters
from feint.stats.variance_split import variance_split

PAIRS = (("method", "level"), ("encoder", "level"))


def rng(seed=0):
    return np.random.default_rng(seed)


def design(seed=0, units=5, seeds=2, effect=0.05, methods="abcd"):
    """Return values and factors of a balanced design in which the method has an effect, and the unit a large one."""
    generator = rng(seed)
    rows = list(product(methods, "xy", ("1%", "15%"), range(units), range(seeds)))
    hardness = generator.normal(0, 0.1, units)
    values = [effect * methods.index(m) + hardness[u] + generator.normal(0, 0.02) for m, _, _, u, _ in rows]
    factors = {name: [row[i] for row in rows] for i, name in enumerate(("method", "encoder", "level", "unit"))}
    return np.array(values), factors


def split(values, factors, clusters=None, *, interactions=PAIRS, draws=100, seed=0):
    labels = factors["unit"] if clusters is None else clusters
    return variance_split(values, factors, labels, interactions=interactions, draws=draws, generator=rng(seed))


def by_means(values, factors, name):
    """Return SS of a term of a balanced design from the means of its levels, the textbook's way."""
    parts = name.split(":")
    labels = list(zip(*(factors[part] for part in parts), strict=True))
    means = {label: values[[each == label for each in labels]].mean() for label in labels}
    fitted = np.array([means[label] for label in labels])
    between = ((fitted - values.mean()) ** 2).sum()
    return between - sum(by_means(values, factors, part) for part in parts) if len(parts) > 1 else between


def test_a_balanced_table_sums_to_one_and_every_share_is_that_of_its_means():
    values, factors = design()
    found = split(values, factors)
    assert found.balanced
    assert sum(each.share.value for each in found.effects) + found.residual == pytest.approx(1)
    total = ((values - values.mean()) ** 2).sum()
    for each in found.effects:
        expected = by_means(values, factors, each.name)
        assert each.share.value == pytest.approx(expected / total)
        assert each.partial == pytest.approx(expected / (expected + found.residual * total))
    assert {each.name: each.df for each in found.effects} == {
        "method": 3, "encoder": 1, "level": 1, "unit": 4, "method:level": 3, "encoder:level": 1,
    }  # fmt: skip
    assert (found.observations, found.cells) == (160, 80)


def residual(values, factors, names):
    """Return what least squares on drop-first dummies of these terms leaves."""
    columns = [np.ones(len(values))]
    for name in names:
        labels = list(zip(*(factors[part] for part in name.split(":")), strict=True))
        columns += [np.array([float(each == label) for each in labels]) for label in sorted(set(labels))[1:]]
    X = np.stack(columns, axis=1)
    return ((values - X @ np.linalg.lstsq(X, values)[0]) ** 2).sum()


def unbalanced():
    values, factors = design(seed=3, methods="abcde")
    kept = [
        not (m == "e" and e == "x") and i % 7 != 0
        for i, (m, e) in enumerate(zip(factors["method"], factors["encoder"], strict=True))
    ]
    return values[kept], {
        name: [each for each, k in zip(levels, kept, strict=True) if k] for name, levels in factors.items()
    }


def test_type_two_sums_of_squares_of_an_unbalanced_design_with_an_encoder_missing():
    values, factors = unbalanced()
    found = split(values, factors)
    assert not found.balanced
    total = ((values - values.mean()) ** 2).sum()
    mains = ["method", "encoder", "level", "unit"]
    without = {
        "method": ["encoder", "level", "unit", "encoder:level"],
        "encoder": ["method", "level", "unit", "method:level"],
        "level": ["method", "encoder", "unit"],
        "unit": ["method", "encoder", "level", "method:level", "encoder:level"],
        "method:level": [*mains, "encoder:level"],
        "encoder:level": [*mains, "method:level"],
    }
    for name, others in without.items():
        expected = residual(values, factors, others) - residual(values, factors, [*others, name])
        assert found.effect(name).share.value * total == pytest.approx(expected, abs=1e-9)


def test_intervals_are_those_of_units_really_drawn_again():
    values, factors = design(units=4)
    found = split(values, factors, seed=5)
    clusters = Clusters.of(factors["unit"], values.size)
    shares = []
    for counts in clusters.draws(100, rng(5)):
        rows = np.repeat(np.arange(values.size), counts.astype(int)[clusters.index])
        drawn = {name: [levels[i] for i in rows] for name, levels in factors.items()}
        shares.append(by_means(values[rows], drawn, "method") / ((values[rows] - values[rows].mean()) ** 2).sum())
    low, high = clusters.ends(np.array(shares))
    assert (found.effect("method").share.low, found.effect("method").share.high) == pytest.approx((low, high))


def test_chance_is_taken_off_and_more_levels_are_no_advantage():
    drawn = []
    for seed in range(60):
        _, factors = design(units=2, seeds=1)
        found = split(rng(seed).normal(size=32), factors, interactions=())
        drawn.append(
            [(found.effect(name).share.value, found.effect(name).adjusted.value) for name in ("method", "encoder")]
        )
    shares, adjusted = np.array(drawn).mean(axis=0).T
    assert shares[0] > 2 * shares[1]
    assert np.abs(adjusted).max() < 0.03


def test_the_lead_leaves_out_how_hard_the_units_are():
    values, factors = design(effect=0.05)
    harder = values + 0.5 * np.array(factors["unit"])
    leads = [split(each, factors).lead("method", "encoder", apart_from="unit") for each in (values, harder)]
    assert leads[0][:3] == pytest.approx(leads[1][:3], abs=1e-6)
    assert leads[0].low > 0.5
    assert split(harder, factors).effect("method").share.value < 0.05


def test_one_cluster_has_no_interval():
    values, factors = design()
    found = split(values, factors, clusters=["all"] * values.size)
    assert np.isnan(found.effect("method").share.low)


def test_bad_designs_are_named():
    values, factors = design()
    with pytest.raises(InputError, match="must differ"):
        split(np.ones(values.size), factors)
    with pytest.raises(InputError, match="'method' must have one level per value: got 1 for 160"):
        split(values, factors | {"method": ["a"]})
    with pytest.raises(SettingError, match=r"got \['views'\]"):
        split(values, factors, interactions=[("method", "views")])
    with pytest.raises(SettingError, match="no term 'views'"):
        split(values, factors).effect("views")
