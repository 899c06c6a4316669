"""Nearest neighbours on pixels, pooled features and patches, against direct computations."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from feint.augmentations import CutDiff
from feint.core.augmentation import Policy
from feint.core.detector import as_unit
from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.detectors import Discriminator, FeatureGaussian, FeatureKNN, PatchKNN, PixelKNN, neighbours
from feint.detectors.density import GaussianDensity
from feint.detectors.encoders import middle
from feint.detectors.neighbours import Bank
from feint.detectors.patches import greedy_coreset, patch_features
from feint.networks.conv import ConvEncoder, pooled
from feint.networks.pretrained import untrained

SMALL = {"width": 8, "depth": 3}
POLICY = Policy(augmentation=CutDiff(), low=(0.03, 0.4, 0.0, 0.15), high=(0.1, 1.0, 180.0, 0.5))


def pictures(n, name="normal", channels=1):
    return torch.randint(256, (n, channels, 12, 10), generator=stream(0, name), dtype=torch.uint8)


def sorted_distances(queries, points):
    """Return all distances (n, m), ascending, and the points they belong to, in float64."""
    return (queries.double()[:, None] - points.double()[None]).norm(dim=2).sort(dim=1)


@given(n=st.integers(1, 7), m=st.integers(1, 9), d=st.integers(1, 5), k=st.integers(1, 9), at_once=st.integers(1, 40))
@settings(deadline=None, max_examples=50)
def test_nearest_equals_the_definition_however_it_is_cut_into_chunks(n, m, d, k, at_once):
    queries, points = (torch.randn(rows, d, generator=stream(n * m, "rows", d, rows)) for rows in (n, m))
    before = neighbours.NUMBERS_AT_ONCE
    neighbours.NUMBERS_AT_ONCE = at_once
    try:
        distances, indices = Bank(points).nearest(queries, k)
    finally:
        neighbours.NUMBERS_AT_ONCE = before
    wanted, which = sorted_distances(queries, points)
    assert torch.allclose(distances.double(), wanted[:, :k], atol=1e-5)
    assert torch.equal(indices, which[:, :k])


def test_distances_do_not_suffer_from_cancellation():
    points = 1000 + 0.001 * torch.randn(60, 30, generator=stream(0, "far"))
    assert Bank(points).nearest(points, 1)[0].max() == 0
    distances, _ = Bank(points).nearest(points[:5] + 0.01, 3)
    assert torch.allclose(distances.double(), sorted_distances(points[:5] + 0.01, points)[0][:, :3], rtol=1e-4)


def test_a_bank_takes_on_the_size_of_the_one_it_loads():
    large, small = Bank(torch.rand(9, 4)), Bank(torch.rand(2, 4))
    queries = torch.rand(3, 4)
    small.load_state_dict(large.state_dict())
    assert torch.equal(small.nearest(queries, 5)[0], large.nearest(queries, 5)[0])
    with pytest.raises(RuntimeError, match="size mismatch"):
        small.load_state_dict(Bank(torch.rand(9, 5)).state_dict())


@pytest.mark.parametrize("k", [1, 4])
def test_pixel_score_and_map_are_the_formula(k):
    normals, images = pictures(11, channels=3), as_unit(pictures(5, "new", channels=3))
    scorer = PixelKNN(k=k).fit(normals, policy=None, seed=0)
    distances, which = sorted_distances(images.flatten(1), as_unit(normals).flatten(1))
    assert torch.allclose(scorer(images).double(), distances[:, :k].mean(1), rtol=1e-5)
    differences = ((images[:, None] - as_unit(normals)[which[:, :k]]) ** 2).mean((1, 2))
    assert torch.allclose(scorer.map(images), differences, atol=1e-6)
    assert (PixelKNN().fit(normals, policy=None, seed=0)(as_unit(normals)) == 0).all()


@pytest.mark.parametrize("recipe", [PixelKNN, FeatureKNN])
def test_impossible_neighbours_are_refused(recipe):
    name = recipe.__name__
    with pytest.raises(SettingError, match=rf"{name}.k must be at least 1: got 0."):
        recipe(k=0)
    with pytest.raises(SettingError, match=rf"{name}.k must be between 1 and the 8 normal images: got 99."):
        recipe(k=99).fit(pictures(8), policy=None, seed=0)


@pytest.mark.parametrize("recipe", [PixelKNN(), FeatureKNN(**SMALL), FeatureGaussian(**SMALL), PatchKNN(**SMALL)])
def test_a_scorer_fitted_on_another_number_of_images_becomes_this_one(recipe):
    scorer, other = (recipe.fit(pictures(n, str(n)), policy=None, seed=n) for n in (15, 6))
    images = as_unit(pictures(4, "new"))
    assert not torch.equal(other(images), scorer(images))
    other.load_state_dict(scorer.state_dict())
    assert torch.equal(other(images), scorer(images))
    assert torch.equal(other.map(images), scorer.map(images))


def test_feature_scores_are_distances_between_pooled_features_of_the_untrained_encoder():
    normals, images = pictures(20), as_unit(pictures(5, "new"))
    encoder = untrained(1, **SMALL, seed=3)
    with torch.no_grad():
        known, seen = pooled(encoder.maps(as_unit(normals))), pooled(encoder.maps(images))
    near = FeatureKNN(k=2, **SMALL).fit(normals, policy=None, seed=3)
    assert torch.allclose(near(images).double(), sorted_distances(seen, known)[0][:, :2].mean(1), rtol=1e-4)
    assert torch.allclose(near.embed(images), seen, atol=1e-6)
    density = GaussianDensity(known.shape[1])
    density.fit(known)
    gaussian = FeatureGaussian(**SMALL).fit(normals, policy=None, seed=3)
    assert torch.allclose(gaussian(images), density(seen), rtol=1e-3)


def test_greedy_coreset_always_takes_the_farthest_point_next():
    points = torch.randn(40, 3, generator=stream(0, "points"))
    picked = greedy_coreset(points, 12, generator=stream(0, "greedy")).tolist()
    assert len(set(picked)) == 12
    for i in range(1, 12):
        to_picked = torch.cdist(points.double(), points[picked[:i]].double()).amin(1)
        assert to_picked[picked[i]] == pytest.approx(float(to_picked.max()), rel=1e-5)


def test_greedy_coreset_covers_within_twice_the_best_radius():
    points = torch.randn(12, 2, generator=stream(1, "points"))
    apart = torch.cdist(points, points)
    best = min(float(apart[:, list(each)].amin(1).max()) for each in combinations(range(12), 3))
    picked = greedy_coreset(points, 3, generator=stream(0, "greedy"))
    assert float(apart[:, picked].amin(1).max()) <= 2 * best + 1e-6


def test_greedy_coreset_of_everything_is_everything():
    points = torch.randn(7, 300, generator=stream(2, "points"))
    assert sorted(greedy_coreset(points, 99, generator=stream(0, "greedy")).tolist()) == list(range(7))
    same = torch.ones(5, 4)
    assert sorted(greedy_coreset(same, 5, generator=stream(0, "greedy")).tolist()) == list(range(5))


def test_patch_features_average_the_two_middle_maps_over_three_by_three():
    encoder = untrained(1, width=8, depth=3, seed=0)
    images = as_unit(pictures(2))
    with torch.no_grad():
        fine, coarse = middle(encoder.maps(images))
        found = patch_features(encoder, images)
    assert found.shape == (2, *fine.shape[2:], fine.shape[1] + coarse.shape[1])
    n_fine = fine.shape[1]
    assert torch.allclose(found[:, 2, 2, :n_fine], fine[:, :, 1:4, 1:4].mean((2, 3)), atol=1e-6)
    assert torch.allclose(found[:, 0, 0, :n_fine], fine[:, :, :2, :2].mean((2, 3)), atol=1e-6)
    corner = coarse[:, :, :2, :2].mean((2, 3))
    assert torch.allclose(found[:, 0, 0, n_fine:], corner, atol=1e-6)


def test_the_middle_of_many_maps():
    maps = [torch.full((1,), float(i)) for i in range(5)]
    chosen = {len(maps[:n]): [int(each) for each in middle(maps[:n])] for n in range(1, 6)}
    assert chosen == {1: [0], 2: [0, 1], 3: [0, 1], 4: [1, 2], 5: [1, 2]}


def test_patch_score_is_the_papers_formula():
    normals, images = pictures(6), as_unit(pictures(4, "new"))
    scorer = PatchKNN(coreset=0.5, reweight=5, **SMALL).fit(normals, policy=None, seed=0)
    bank = scorer.bank.points.double()
    with torch.no_grad():
        features = patch_features(scorer.encoder, images).double()
    assert len(bank) == round(0.5 * 6 * features[0, :, :, 0].numel())
    for image, patches in zip(images, features.flatten(1, 2), strict=True):
        apart = torch.cdist(patches, bank, compute_mode="donot_use_mm_for_euclid_dist")
        p = int(apart.amin(1).argmax())
        m = int(apart[p].argmin())
        around = (bank - bank[m]).norm(dim=1).argsort()[:5]
        weight = 1 - apart[p, m].exp() / apart[p, around].exp().sum()
        assert float(scorer(image[None])) == pytest.approx(float(weight * apart[p, m]), rel=1e-4)
        coarse = scorer.map(image[None])
        assert float(coarse.max()) <= float(apart[p, m]) + 1e-5
    plain = PatchKNN(coreset=0.5, reweight=1, **SMALL).fit(normals, policy=None, seed=0)
    assert (plain(images) >= scorer(images)).all()


def test_the_coreset_has_an_upper_limit_and_so_have_the_patches_it_is_chosen_from():
    scorer = PatchKNN(coreset=1.0, most=3, **SMALL).fit(pictures(40), policy=None, seed=0)
    assert len(scorer.bank) == 3
    assert scorer(as_unit(pictures(4, "new"))).isfinite().all()


def test_the_trained_encoder_is_that_of_the_discriminator():
    normals, images = pictures(12), as_unit(pictures(3, "new"))
    scorer = FeatureKNN(encoder="trained", steps=3, **SMALL).fit(normals, policy=POLICY, seed=5)
    recipe = Discriminator(steps=3, **SMALL)
    wanted = recipe.fit(normals, policy=POLICY, seed=5).classifier.encoder
    for found, each in zip(scorer.encoder.maps(images), wanted.maps(images), strict=True):
        assert torch.equal(found, each)


def test_pseudo_anomalies_are_for_the_trained_encoder_alone():
    assert FeatureKNN.pseudo_anomalies == "optional"
    assert (FeatureKNN().pseudo_anomalies, FeatureKNN(encoder="trained").pseudo_anomalies) == ("refused", "required")
    with pytest.raises(SettingError, match="normal images alone"):
        FeatureKNN().fit(pictures(4), policy=POLICY, seed=0)
    with pytest.raises(SettingError, match="give a policy"):
        PatchKNN(encoder="trained").fit(pictures(4), policy=None, seed=0)


def test_a_saved_encoder_gives_the_scores_of_the_encoder(tmp_path):
    normals, images = pictures(9), as_unit(pictures(3, "new"))
    path = tmp_path / "encoder.safetensors"
    save_file(untrained(1, **SMALL, seed=4).state_dict(), path)
    saved = FeatureKNN(encoder=str(path)).fit(normals, policy=None, seed=0)
    fresh = FeatureKNN(**SMALL).fit(normals, policy=None, seed=4)
    assert torch.equal(saved(images), fresh(images))
    with pytest.raises(SettingError, match="takes grey images: got 3 channels"):
        FeatureKNN(encoder=str(path)).fit(pictures(4, channels=3), policy=None, seed=0)


def test_grey_images_are_repeated_and_resized_for_the_encoder(tmp_path):
    path = tmp_path / "encoder.safetensors"
    network = ConvEncoder(3, **SMALL)
    save_file(network.state_dict(), path)
    scorer = PatchKNN(encoder=str(path), encoder_size=32).fit(pictures(5), policy=None, seed=0)
    assert [each.shape[2:] for each in scorer.encoder.maps(as_unit(pictures(1)))] == [(16, 16), (8, 8), (4, 4)]
    assert scorer.map(as_unit(pictures(2))).shape == (2, 12, 10)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"encoder": "resnet"}, "encoder must be untrained, trained, lite0, timm:NAME or .*: got 'resnet'"),
        ({"encoder": "timm:"}, "got 'timm:'"),
        ({"encoder_size": 0}, "encoder_size must be a number of pixels: got 0"),
        ({"weights": "a.safetensors"}, "weights belong to an encoder timm:NAME or .*: got 'untrained'"),
        ({"width": 9}, "width = 9"),
        ({"coreset": 0.0}, r"coreset must be in \(0, 1\]"),
    ],
)
def test_impossible_settings_are_refused_before_anything_runs(wrong, sentence):
    with pytest.raises(SettingError, match=sentence):
        PatchKNN(**wrong)
