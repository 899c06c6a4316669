"""What every detector promises, on toy images: a soft ramp with grain, and the same with a dark square planted in it.

A detector is fitted a few times on 40 images of 20 x 18 pixels: pass one with few steps. Scorers are kept between
checks, so that a detector must be hashable, as frozen dataclasses are.

Named gap: parity of an exported graph with the scorer is checked by `feint export`, on images of the run, and not here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from feint.augmentations import CutDiff
from feint.core.augmentation import Policy
from feint.core.detector import Detector, Scorer, as_unit
from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.metrics.roc import auroc
from feint.testing.promises import global_generators_untouched, promise

DetectorCheck = Callable[[Detector[Scorer]], None]

HEIGHT, WIDTH = 20, 18
IMAGES = 40
SIDE = 5
DARKER = 0.25
TOLERANCE = 1e-4


def one_finite_number_per_image(detector: Detector[Scorer]) -> None:
    """Scores have shape (n,) and are finite: on images like the normal ones, on black, white and on a single one."""
    scorer = _fitted(detector)
    like = as_unit(normal_images(7, "like"))
    for images in (like, like[:1], torch.zeros(2, 1, HEIGHT, WIDTH), torch.ones(2, 1, HEIGHT, WIDTH)):
        scores = _scored(scorer, images)
        promise(scores.shape == (len(images),), f"{len(images)} images got scores of shape {tuple(scores.shape)}.")
        promise(bool(scores.isfinite().all()), f"scores are not finite: {scores.tolist()}.")


def higher_is_more_anomalous(detector: Detector[Scorer]) -> None:
    """Images with a planted defect score higher than new normal ones: the AUROC is at least 0.9."""
    scorer = _fitted(detector)
    normal, planted = _scored(scorer, as_unit(normal_images(IMAGES, "new"))), _scored(scorer, planted_images()[0])
    promise(bool(torch.cat([normal, planted]).isfinite().all()), "scores are not finite.")
    found = auroc(normal.numpy(), planted.numpy())
    promise(found >= 0.9, f"the AUROC of planted defects is {found:.3f}: want 0.9 or more.")


def scores_are_not_constant(detector: Detector[Scorer]) -> None:
    """Scores differ from image to image, normal ones included, by more than rounding."""
    scores = _scored(_fitted(detector), as_unit(normal_images(IMAGES, "new")))
    apart, level = float(scores.max() - scores.min()), float(scores.abs().max())
    promise(apart > TOLERANCE * level, f"the scores of {IMAGES} different images are all {level:.6g} or nearly so.")


def same_streams_give_the_same_scores(detector: Detector[Scorer]) -> None:
    """Fitted twice with one seed, whatever the global generators hold, it gives the same scores bit for bit."""
    images = planted_images()[0]
    first = _scored(_fitted(detector), images)
    with torch.random.fork_rng(devices=[]):
        torch.rand(1)
        second = _scored(_fit(detector), images)
    apart = float((first - second).abs().max())
    promise(torch.equal(first, second), f"two fits with the same seed differ in their scores by up to {apart:.3g}.")


def global_generators_stay_untouched(detector: Detector[Scorer]) -> None:
    """Neither fit nor scores nor maps move a global generator."""
    with global_generators_untouched("fit, score or map"):
        scorer = _fit(detector)
        _scored(scorer, planted_images()[0])
        _mapped(scorer, planted_images()[0])


def inputs_stay_untouched(detector: Detector[Scorer]) -> None:
    """Fit, scores and maps write into none of the images they are given."""
    normal, images = normal_images(IMAGES, "normal"), planted_images()[0]
    scorer = detector.fit(normal, policy=_policy(detector), seed=0)
    _scored(scorer, images)
    _mapped(scorer, images)
    promise(torch.equal(normal, normal_images(IMAGES, "normal")), "fit wrote into the normal images.")
    promise(torch.equal(images, planted_images()[0]), "scoring wrote into the images.")


def score_is_independent_of_the_batch(detector: Detector[Scorer]) -> None:
    """An image's score is the same alone, in a batch and in another order, to 1e-4 of its size."""
    scorer = _fitted(detector)
    images = planted_images()[0][:9]
    together = _scored(scorer, images)
    alone = torch.cat([_scored(scorer, image[None]) for image in images])
    reversed_ = _scored(scorer, images.flip(0)).flip(0)
    for found, how in ((alone, "alone"), (reversed_, "in reverse order")):
        apart = float(((found - together).abs() / together.abs().clamp(min=TOLERANCE)).max())
        promise(apart < TOLERANCE, f"scored {how}, an image's score differs by {apart:.2g} of itself.")


def state_dict_is_the_whole_state(detector: Detector[Scorer]) -> None:
    """A scorer fitted on other images becomes this one by `load_state_dict`: same scores, same maps."""
    scorer, images = _fitted(detector), planted_images()[0]
    other = detector.fit(255 - normal_images(IMAGES, "other"), policy=_policy(detector), seed=1)
    promise(
        not torch.equal(_scored(other, images), _scored(scorer, images)), "fitted on other images, it scores the same."
    )
    other.load_state_dict(scorer.state_dict())
    promise(torch.equal(_scored(other, images), _scored(scorer, images)), "scores depend on more than the state_dict.")
    promise(torch.equal(_mapped(other, images), _mapped(scorer, images)), "maps depend on more than the state_dict.")


def a_wrong_shape_is_named_in_the_error(detector: Detector[Scorer]) -> None:
    """A 3-D image, another size and other channels are refused by scores and maps, and the error says what was got."""
    scorer = _fitted(detector)
    for shape in ((1, HEIGHT, WIDTH), (2, 1, WIDTH, HEIGHT), (2, 1, HEIGHT + 4, WIDTH), (2, 3, HEIGHT, WIDTH)):
        for view in (_scored, _mapped):
            try:
                view(scorer, torch.full(shape, 0.5))
            except ValueError as error:
                named = str(shape) in str(error) or str(shape[1:]) in str(error)
                promise(named, f"the error does not name the shape {shape}: {error}")
            except Exception as error:
                raise AssertionError(f"{shape} was refused with {type(error).__name__}: want ValueError.") from error
            else:
                raise AssertionError(f"images of shape {shape} were accepted; fitted on (n, 1, {HEIGHT}, {WIDTH}).")


def pseudo_anomalies_are_as_declared(detector: Detector[Scorer]) -> None:
    """Where it says "required", none is refused; where "refused", some are; where "optional", it fits either way."""
    name, declared = type(detector).__name__, detector.pseudo_anomalies
    out_of_place = {"required": None, "refused": _augmented(), "optional": None}[declared]
    try:
        scorer = detector.fit(normal_images(IMAGES, "normal"), policy=out_of_place, seed=0)
    except SettingError as error:
        promise(declared != "optional", f"{name} says it can do without pseudo-anomalies, and refused: {error}")
        return
    given = "without pseudo-anomalies" if out_of_place is None else "with them"
    promise(declared == "optional", f"{name} says that pseudo-anomalies are {declared}, and fitted {given}.")
    scores = _scored(scorer, planted_images()[0])
    promise(bool(scores.isfinite().all()), "without a policy the scores are not finite.")


def embeddings_tell_images_apart(detector: Detector[Scorer]) -> None:
    """Embeddings have shape (n, d), are finite and differ from image to image."""
    images = planted_images()[0]
    with torch.no_grad():
        found = _fitted(detector).embed(images)
    promise(found.ndim == 2 and len(found) == len(images), f"{len(images)} embeddings have shape {tuple(found.shape)}.")
    promise(bool(found.isfinite().all()), "embeddings hold NaN or infinite values.")
    apart, level = float((found.amax(0) - found.amin(0)).max()), float(found.abs().max())
    promise(apart > TOLERANCE * level, f"the embeddings of {IMAGES} different images are all the same, or nearly so.")


def all_scores_hold_the_chosen_one(detector: Detector[Scorer]) -> None:
    """`all_scores` gives shape (n,) and finite numbers under every name, and what `forward` returns under `score`."""
    scorer, images = _fitted(detector), planted_images()[0]
    with torch.no_grad():
        found = scorer.all_scores(images)
    promise(scorer.score in found, f"all_scores gave {', '.join(found)}: want {scorer.score} among them.")
    for name, scores in found.items():
        promise(scores.shape == (len(images),), f"{name}: {len(images)} images got shape {tuple(scores.shape)}.")
        promise(bool(scores.isfinite().all()), f"{name}: scores are not finite.")
    apart = float((found[scorer.score] - _scored(scorer, images)).abs().max())
    promise(apart == 0, f"all_scores[{scorer.score!r}] differs from forward by up to {apart:.2g}.")


def maps_have_the_size_of_the_images(detector: Detector[Scorer]) -> None:
    """Maps have shape (n, h, w) and are finite."""
    images = planted_images()[0]
    maps = _mapped(_fitted(detector), images)
    wanted = (len(images), HEIGHT, WIDTH)
    promise(maps.shape == wanted, f"maps have shape {tuple(maps.shape)}: want {wanted}.")
    promise(bool(maps.isfinite().all()), "maps hold NaN or infinite values.")


def maps_light_up_at_the_defect(detector: Detector[Scorer]) -> None:
    """Pixels of a planted defect stand out from the others of their image: the mean AUROC is at least 0.7."""
    maps_have_the_size_of_the_images(detector)
    images, masks = planted_images()
    maps = _mapped(_fitted(detector), images)
    found = [auroc(m[~mask].numpy(), m[mask].numpy()) for m, mask in zip(maps, masks, strict=True)]
    mean = sum(found) / len(found)
    promise(mean >= 0.7, f"in the maps the pixels of a defect have a mean AUROC of {mean:.3f}: want 0.7 or more.")


DETECTOR_CHECKS: tuple[DetectorCheck, ...] = (
    one_finite_number_per_image,
    higher_is_more_anomalous,
    scores_are_not_constant,
    same_streams_give_the_same_scores,
    global_generators_stay_untouched,
    inputs_stay_untouched,
    score_is_independent_of_the_batch,
    state_dict_is_the_whole_state,
    a_wrong_shape_is_named_in_the_error,
    pseudo_anomalies_are_as_declared,
    embeddings_tell_images_apart,
    all_scores_hold_the_chosen_one,
    maps_have_the_size_of_the_images,
    maps_light_up_at_the_defect,
)


def normal_images(n: int, name: str) -> Tensor:
    """Return n toy images (n, 1, 20, 18), uint8; the name tells one set from another."""
    chance = stream(0, "testing", "toy", name)
    y, x = torch.linspace(-1, 1, HEIGHT)[:, None], torch.linspace(-1, 1, WIDTH)[None, :]
    ramp = 0.4 + 0.15 * torch.cos(3 * y) + 0.1 * x
    lamp = 0.05 * torch.rand(n, 1, 1, 1, generator=chance)
    grain = 0.03 * torch.randn(n, 1, HEIGHT, WIDTH, generator=chance)
    return ((ramp + lamp + grain).clamp(0, 1) * 255).round().to(torch.uint8)


def planted_images() -> tuple[Tensor, Tensor]:
    """Return toy images (n, 1, 20, 18) in [0, 1] with a dark square in each, and its masks (n, 20, 18)."""
    images = as_unit(normal_images(IMAGES, "planted"))
    chance = stream(0, "testing", "toy", "places")
    top = torch.randint(HEIGHT - SIDE, (IMAGES, 1, 1), generator=chance)
    left = torch.randint(WIDTH - SIDE, (IMAGES, 1, 1), generator=chance)
    y, x = torch.arange(HEIGHT)[None, :, None], torch.arange(WIDTH)[None, None, :]
    masks = (y >= top) & (y < top + SIDE) & (x >= left) & (x < left + SIDE)
    return (images - DARKER * masks[:, None]).clamp(0, 1), masks


def _augmented() -> Policy:
    return Policy(augmentation=CutDiff(), low=(0.03, 0.4, 0.0, 0.15), high=(0.1, 1.0, 180.0, 0.5))


def _policy(detector: Detector[Scorer]) -> Policy | None:
    return None if detector.pseudo_anomalies == "refused" else _augmented()


def _fit(detector: Detector[Scorer]) -> Scorer:
    return detector.fit(normal_images(IMAGES, "normal"), policy=_policy(detector), seed=0)


_fitted = lru_cache(maxsize=8)(_fit)


@torch.no_grad()
def _scored(scorer: Scorer, images: Tensor) -> Tensor:
    scores: Tensor = scorer(images)
    return scores


@torch.no_grad()
def _mapped(scorer: Scorer, images: Tensor) -> Tensor:
    return scorer.map(images)
