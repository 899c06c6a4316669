"""Scorers of embeddings against independent computations of their formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.preprocessing import StandardScaler

from feint.core.errors import CollapseError, InputError, SettingError
from feint.embeddings import EMBEDDING_SCORERS, GMM, KNN, LOF, IsolationForest, Mahalanobis, OneClassSVM, Trimmed
from feint.metrics.roc import auroc

QUICK = {"isolation-forest": {"trees": 20}}
SCORERS = {name: recipe(**QUICK.get(name, {})) for name, recipe in EMBEDDING_SCORERS.items()}


def random_rows(n, d=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) + 1


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def columns_of_one_scale(n, d, seed=0):
    return StandardScaler().fit_transform(random_rows(n, d, seed))


@pytest.mark.parametrize(("metric", "place"), [("cosine", unit), ("euclidean", lambda z: z)])
def test_knn_is_the_mean_of_the_k_smallest_distances(metric, place):
    z, x = columns_of_one_scale(60, 6), random_rows(20, seed=1)
    fitted = KNN(k=3, metric=metric).fit(z, seed=0)
    assert fitted.score(x) == pytest.approx(np.sort(cdist(place(x), place(z)), axis=1)[:, :3].mean(1))
    assert fitted.own_scores() == pytest.approx(np.sort(cdist(place(z), place(z)), axis=1)[:, 1:4].mean(1))


def test_cosine_knn_knows_no_length_and_bears_a_row_of_zeros():
    z, x = random_rows(60), random_rows(20, seed=1)
    fitted = KNN().fit(z * np.linspace(1, 9, 60)[:, None], seed=0)
    assert fitted.score(7 * x) == pytest.approx(KNN().fit(z, seed=0).score(x))
    assert fitted.score(np.zeros((1, 6))) == pytest.approx(1)


@given(st.integers(2, 30))
@settings(max_examples=10, deadline=None)
def test_a_fitted_row_is_scored_as_if_it_had_been_left_out(n):
    z = random_rows(n)
    fitted = KNN(k=min(5, n - 1)).fit(np.concatenate([z, z[:1]]), seed=0)
    assert fitted.own_scores()[-1] == pytest.approx(KNN(k=min(5, n - 1)).fit(z, seed=0).score(z[:1])[0], abs=1e-6)


def test_of_a_larger_set_the_rows_not_drawn_are_scored_like_others():
    z = random_rows(90)
    fitted = KNN(bank=40).fit(z, seed=3)
    assert fitted.bank.tolist() == np.unique(fitted.bank).tolist()
    others = np.setdiff1d(np.arange(90), fitted.bank)
    assert others.size == 50
    alone = KNN().fit(z[fitted.bank], seed=0)
    assert fitted.own_scores()[fitted.bank] == pytest.approx(alone.own_scores())
    assert fitted.own_scores()[others] == pytest.approx(alone.score(z[others]))
    assert KNN(bank=40).fit(z, seed=4).bank.tolist() != fitted.bank.tolist()


def test_mahalanobis_is_that_of_ledoit_and_wolf_on_the_principal_axes():
    z, x = columns_of_one_scale(80, 5) @ np.diag([3, 2, 1, 1, 1e-3]), random_rows(20, 5, seed=1)
    spread = z.std(0)
    scale = np.maximum(spread, np.median(spread) / 2)
    _, s, axes = np.linalg.svd((z - z.mean(0)) / scale, full_matrices=False)
    kept = int((np.cumsum(s**2) / (s**2).sum() < 0.99).sum()) + 1
    assert kept == 4
    coordinates = [((rows - z.mean(0)) / scale) @ axes[:kept].T for rows in (z, x)]
    wanted = np.sqrt(LedoitWolf().fit(coordinates[0]).mahalanobis(coordinates[1]))
    assert Mahalanobis().fit(z, seed=0).score(x) == pytest.approx(wanted)


def test_mahalanobis_of_fewer_rows_than_columns_is_finite_and_finds_what_is_far():
    z = random_rows(15, 40)
    fitted = Mahalanobis().fit(z, seed=0)
    assert auroc(fitted.score(random_rows(30, 40, seed=1)), fitted.score(random_rows(30, 40, seed=2) * 3)) > 0.95


def test_a_mixture_of_one_is_the_density_of_a_gaussian():
    z, x = random_rows(300, 3), random_rows(20, 3, seed=1)
    fitted = GMM(components=1, share=0.999999).fit(z, seed=0)
    scale = z.std(0)
    density = multivariate_normal((z / scale).mean(0), np.cov((z / scale).T, bias=True))
    assert fitted.score(x) == pytest.approx(-density.logpdf(x / scale), rel=1e-4)


def test_the_bic_finds_the_groups_so_that_what_lies_between_them_is_anomalous():
    chance = np.random.default_rng(0)
    z = chance.normal(size=(600, 2)) + np.repeat([[-9, 0], [9, 0], [0, 15]], 200, axis=0)
    between = chance.normal(size=(100, 2)) + np.array([0, 5])
    assert auroc(GMM().fit(z, seed=0).own_scores(), GMM().fit(z, seed=0).score(between)) == 1
    assert auroc(Mahalanobis().fit(z, seed=0).own_scores(), Mahalanobis().fit(z, seed=0).score(between)) < 0.5


def test_a_mixture_has_no_more_gaussians_than_its_rows_can_tell_apart():
    z = random_rows(24, 12)
    assert GMM().fit(z, seed=0).score(z).std() > 0
    assert GMM().fit(z, seed=0).score(z) == pytest.approx(GMM(components=1).fit(z, seed=0).score(z))


def test_one_class_svm_leaves_about_nu_of_its_rows_outside():
    z = random_rows(500)
    scores = OneClassSVM(nu=0.2).fit(z, seed=0).score(z)
    highest = np.sort(scores)[-100:]
    assert highest.min() == pytest.approx(np.quantile(scores, 0.8), rel=1e-2)
    outer = np.linalg.norm(z - 1, axis=1)
    assert auroc(outer[scores < highest.min()], outer[scores >= highest.min()]) > 0.9


def test_isolation_forest_scores_lie_between_0_and_1_and_a_row_far_out_comes_first():
    z = random_rows(300)
    scores = IsolationForest().fit(np.concatenate([z, [[9.0] * 6]]), seed=0).own_scores()
    assert 0 < scores.min() < scores.max() <= 1
    assert scores.argmax() == 300


def test_lof_is_the_ratio_of_densities():
    z, x, k = columns_of_one_scale(50, 3), random_rows(10, 3, seed=1), 4
    among = cdist(z, z)
    np.fill_diagonal(among, np.inf)
    reach = np.sort(among, axis=1)[:, k - 1]

    def density(distances):
        nearest = np.argsort(distances, axis=1)[:, :k]
        mean = np.maximum(np.take_along_axis(distances, nearest, 1), reach[nearest]).mean(1)
        return 1 / mean, nearest

    inner, neighbours = density(among)
    fitted = LOF(k=k).fit(z, seed=0)
    assert fitted.own_scores() == pytest.approx(inner[neighbours].mean(1) / inner, rel=1e-6)
    outer, neighbours = density(cdist(x, z))
    assert fitted.score(x) == pytest.approx(inner[neighbours].mean(1) / outer, rel=1e-6)


def test_lof_bears_more_equal_rows_than_neighbours():
    z = np.concatenate([np.ones((30, 4)), random_rows(40, 4)])
    assert np.isfinite(LOF().fit(z, seed=0).own_scores()).all()


def dirty_rows():
    """Return 340 normal rows and 60 anomalous ones that lie in a dense group of their own, more than neighbours."""
    chance = np.random.default_rng(0)
    return np.concatenate([chance.normal(size=(340, 4)), chance.normal(size=(60, 4)) * 0.8 + 3])


def test_trimming_pulls_the_mean_back_from_the_anomalies():
    z, fresh = dirty_rows(), np.random.default_rng(1)
    normal, odd = fresh.normal(size=(300, 4)), fresh.normal(size=(300, 4)) * 0.8 + 3
    clean, dirty, trimmed = (
        scorer.fit(rows, seed=0)
        for scorer, rows in (
            (Mahalanobis(), z[:340]),
            (Mahalanobis(), z),
            (Trimmed(scorer=Mahalanobis()), z),
        )
    )
    found = [auroc(fitted.score(normal), fitted.score(odd)) for fitted in (clean, dirty, trimmed)]
    assert found[1] < found[2] - 0.01
    assert found[2] > found[0] - 0.05


def test_trimmed_leaves_its_share_out_and_fits_the_rest():
    z = dirty_rows()
    first = KNN(k=80).fit(z, seed=0).own_scores()
    kept = np.sort(np.argsort(first, kind="stable")[:300])
    wanted = KNN(k=80).fit(z[kept], seed=0)
    fitted = Trimmed(scorer=KNN(k=80), share=0.25, passes=1).fit(z, seed=0)
    assert fitted.score(z) == pytest.approx(wanted.score(z))
    own = fitted.own_scores()
    assert own[kept] == pytest.approx(wanted.own_scores())
    left_out = np.setdiff1d(np.arange(400), kept)
    assert own[left_out] == pytest.approx(wanted.score(z[left_out]))


def test_a_mapped_float32_file_is_scored_like_the_numbers_in_it(tmp_path):
    z = random_rows(300, 8).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    for scorer in SCORERS.values():
        fitted = scorer.fit(mapped, seed=0)
        wanted = scorer.fit(z.astype(np.float64), seed=0)
        assert fitted.score(mapped) == pytest.approx(wanted.score(z.tolist()))
        assert fitted.own_scores() == pytest.approx(wanted.own_scores())


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_rows_that_are_all_the_same_are_a_collapse(scorer):
    same = np.tile(random_rows(1), (50, 1)) * (1 + 1e-8 * random_rows(50))
    with pytest.raises(CollapseError, match="all the same"):
        scorer.fit(same, seed=0)


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_dead_columns_change_nothing_that_matters(scorer):
    z, x = random_rows(200), random_rows(50, seed=1) * 2
    scores, with_dead = (
        scorer.fit(rows[0], seed=0).score(rows[1])
        for rows in ((z, x), tuple(np.concatenate([r, np.zeros((len(r), 2))], axis=1) for r in (z, x)))
    )
    assert np.isfinite(with_dead).all()
    assert np.corrcoef(scores, with_dead)[0, 1] > 0.8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (random_rows(9)[0], r"shape \(n, d\): got \(6,\)\. One embedding\? Pass z\[None\]"),
        (np.where(np.arange(54).reshape(9, 6) % 20 == 0, np.nan, 1.0), "got 3 rows of 9 with NaN"),
        (np.full((9, 2), "a"), "must be numbers"),
        (np.empty((9, 0)), "at least one a row"),
        (random_rows(5), "at least 6 embeddings to be fitted on: got 5"),
    ],
)
def test_embeddings_that_cannot_be_fitted_on_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        KNN().fit(wrong, seed=0)


def test_another_number_of_columns_is_named():
    with pytest.raises(InputError, match="the 6 columns of those fitted on: got 4"):
        KNN().fit(random_rows(9), seed=0).score(random_rows(9, 4))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: KNN(k=0),
        lambda: KNN(metric="manhattan"),
        lambda: KNN(bank=5),
        lambda: LOF(k=0),
        lambda: Mahalanobis(share=1.0),
        lambda: GMM(components=0),
        lambda: GMM(share=0.0),
        lambda: OneClassSVM(nu=0.0),
        lambda: IsolationForest(trees=0),
        lambda: Trimmed(scorer=KNN(), share=1.0),
        lambda: Trimmed(scorer=KNN(), passes=0),
        lambda: Trimmed(scorer=KNN(), bank=7),
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(SettingError, match="must|needs"):
        wrong()


def test_trimmed_has_rows_left_for_what_it_wraps():
    least = Trimmed(scorer=KNN()).least
    assert np.isfinite(Trimmed(scorer=KNN()).fit(random_rows(least), seed=0).own_scores()).all()
    with pytest.raises(InputError, match=f"at least {least}"):
        Trimmed(scorer=KNN()).fit(random_rows(least - 1), seed=0)
