"""What a fitted scorer says of test images: scores, maps, and a few images of each kind looked at closely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feint.core.augmentation import PseudoAnomalies
from feint.core.detector import Scorer, as_unit, device_of
from feint.core.errors import CollapseError
from feint.core.streams import stream
from feint.tuning.st_ssad import Tuning

CHUNK = 256
CLOSE_UPS = 60
PICTURES = 4
PICTURE_PX = 64
TUNING = "tuning."


def check_scores(scores: NDArray[np.floating], name: str) -> None:
    """Raise CollapseError where scores are not finite or all the same: such a detector has learnt nothing."""
    if not np.isfinite(scores).all():
        raise CollapseError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} values of {name} are not finite.")
    if np.ptp(scores) <= 1e-7 * np.abs(scores).max():
        raise CollapseError(f"all {len(scores)} values of {name} are {scores[0]:.6g}: the detector has collapsed.")


@torch.no_grad()
def score_images(scorer: Scorer, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return every score (n,) that the scorer gives of images (n, c, h, w), uint8, wherever the scorer lies."""
    found = [scorer.all_scores(chunk) for chunk in _chunks(images, scorer)]
    return {name: torch.cat([each[name].cpu() for each in found]).float().numpy() for name in found[0]}


@torch.no_grad()
def map_images(scorer: Scorer, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return anomaly maps (n, h, w) of images (n, c, h, w), uint8, wherever the scorer lies."""
    return torch.cat([scorer.map(chunk).cpu() for chunk in _chunks(images, scorer)]).float().numpy()


@torch.no_grad()
def close_up(
    groups: Mapping[str, NDArray[np.uint8]], scorer: Scorer, policy: PseudoAnomalies | None, *, seed: int
) -> dict[str, NDArray[np.generic]]:
    """Return, for a few images of each group, scores, embeddings, pictures and maps, as `close.PART.GROUP`.

    With a policy there is also the group "pseudo", made of the group "train".
    """
    units = {name: as_unit(_tensor(_few(images))) for name, images in groups.items()}
    if policy is not None:
        units["pseudo"] = policy(units["train"], generator=stream(seed, "close up"))
    found: dict[str, NDArray[np.generic]] = {}
    for name, unit in units.items():
        shown, there = unit[:PICTURES], unit.to(device_of(scorer))
        step = -(-max(shown.shape[2:]) // PICTURE_PX)
        pictures = (shown[..., ::step, ::step].clamp(0, 1) * 255).round().to(torch.uint8)
        found[f"close.scores.{name}"] = scorer(there).float().cpu().numpy()
        found[f"close.embeddings.{name}"] = scorer.embed(there).half().cpu().numpy()
        found[f"close.pictures.{name}"] = pictures.numpy()
        found[f"close.maps.{name}"] = scorer.map(there[:PICTURES])[..., ::step, ::step].half().cpu().numpy()
    return found


def tuning_arrays(tuning: Tuning) -> dict[str, NDArray[np.generic]]:
    """Return the arrays in which a cell keeps a tuning of s starts, u updates and m magnitudes, as `tuning.NAME`.

    names (m,); magnitudes (s, u, m) and losses (s, u) after each update, NaN where a start broke off; ends (s, m), the
    magnitudes at which each start ended; variances and separabilities (s,); statuses (s,); chosen (), a start's number.
    """
    paths, names = tuning.paths, [each.name for each in tuning.augmentation.magnitudes]
    steps = max(len(path.losses) for path in paths)
    magnitudes = np.full((len(paths), steps, len(names)), np.nan, np.float32)
    losses = np.full((len(paths), steps), np.nan, np.float32)
    for i, path in enumerate(paths):
        losses[i, : len(path.losses)] = path.losses.numpy()
        magnitudes[i, : len(path.losses)] = path.magnitudes.reshape(-1, len(names)).numpy()
    found: dict[str, NDArray[np.generic]] = {
        "names": np.array(names),
        "magnitudes": magnitudes,
        "losses": losses,
        "ends": np.array([[path.tuned.magnitudes[name] for name in names] for path in paths]),
        "variances": np.array([path.tuned.variance for path in paths]),
        "separabilities": np.array([path.tuned.separability for path in paths]),
        "statuses": np.array([path.tuned.status for path in paths]),
        "chosen": np.array(tuning.chosen),
    }
    return {f"{TUNING}{name}": each for name, each in found.items()}


def _few(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return at most `CLOSE_UPS` evenly spaced images."""
    chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), CLOSE_UPS)).astype(int))
    return np.array(images[chosen])


def _chunks(images: NDArray[np.uint8], scorer: Scorer) -> Iterator[Tensor]:
    device = device_of(scorer)
    for i in range(0, len(images), CHUNK):
        yield as_unit(_tensor(images[i : i + CHUNK])).to(device)


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.array(images))
