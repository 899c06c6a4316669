"""The images on which an export is compared with its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from feint.backends import available_cores
from feint.core.errors import InputError
from feint.core.streams import numpy_stream
from feint.data import ImageSet, decode, open_images
from feint.data.sources import Source
from feint.records.run import PreprocessingRecord
from feint.runs.run import Run

MOST = 64
GENERATED = "generated"


@final
@dataclass(frozen=True, eq=False)
class Evidence:
    """Images (n, c, h, w), uint8, as each preprocessing makes them, and where they came from."""

    source: str
    names: tuple[str, ...]
    pixels: dict[PreprocessingRecord, NDArray[np.uint8]]


def evidence(run: Run, preprocessings: Sequence[PreprocessingRecord], images: Source | None) -> Evidence:
    """Return up to 64 evenly spaced images of `images`, or of each folder the run was tuned on, or generated ones.

    Raises: InputError where `images` are given and none can be used.
    """
    if images is not None:
        return _read([_thinned(open_images(images, role="unlabelled"))], preprocessings)
    data = run.record.data
    there = [*_still_there(data.normal.source, "normal"), *_still_there(data.unlabelled.source, "unlabelled")]
    try:
        return _read(there, preprocessings) if there else generated(preprocessings)
    except InputError:
        return generated(preprocessings)


def generated(preprocessings: Sequence[PreprocessingRecord]) -> Evidence:
    """Return 64 images of soft texture at all contrasts, in which nothing real is shown: others for each size."""
    return Evidence(
        GENERATED, tuple(f"{GENERATED}-{i}" for i in range(MOST)), {each: _textures(each) for each in preprocessings}
    )


def _textures(preprocessing: PreprocessingRecord) -> NDArray[np.uint8]:
    chance = numpy_stream(0, "parity")
    shape = (MOST, preprocessing.channels, preprocessing.height, preprocessing.width)
    coarse = chance.normal(size=(*shape[:2], -(-shape[2] // 4), -(-shape[3] // 4)))
    soft = np.repeat(np.repeat(coarse, 4, axis=2), 4, axis=3)[:, :, : shape[2], : shape[3]]
    contrast = np.linspace(0, 80, MOST)[:, None, None, None]
    textures = 128 + contrast * soft + 5 * chance.normal(size=shape)
    pixels: NDArray[np.uint8] = np.clip(textures, 0, 255).astype(np.uint8)
    return pixels


def _still_there(source: str, role: Literal["normal", "unlabelled"]) -> list[ImageSet]:
    if not Path(source).exists():
        return []
    try:
        return [_thinned(open_images(source, role=role))]
    except InputError:
        return []


def _thinned(images: ImageSet) -> ImageSet:
    if len(images) <= MOST:
        return images
    return images.select(np.linspace(0, len(images) - 1, MOST).astype(np.intp))


def _read(sets: list[ImageSet], preprocessings: Sequence[PreprocessingRecord]) -> Evidence:
    decoded = [decode(each, preprocessings, workers=available_cores()) for each in sets]
    return Evidence(
        source=" and ".join(each.source for each in sets),
        names=tuple(name for each in decoded for name in each.names),
        pixels={each: np.concatenate([of.pixels[k] for of in decoded]) for k, each in enumerate(preprocessings)},
    )
