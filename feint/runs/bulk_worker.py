"""What a worker does for a bulk job: opens the model once, scores the images of a part. Needs no torch by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol, final

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError, IntegrityError
from feint.data.parts import Opened, Part
from feint.data.preprocessing import preprocess
from feint.data.reading import UnreadableImageError, read_pixels
from feint.data.remote import UnreachableImageError
from feint.records.run import PreprocessingRecord

BATCH = 64
LOST_AT = 10

Mode = Literal["false_alarm_rate", "fdr"]
Inputs = NDArray[np.uint8]


@final
@dataclass(frozen=True)
class Judging:
    """What a bulk job must know of a model: its hash, how it flags, and calibration scores that show drift, if any."""

    sha256: str
    mode: Mode
    rate: float
    drift_reference: tuple[float, ...]


class Judge(Protocol):
    """A model opened for a bulk job: from inputs (n, c, h, w), one per preprocessing, to score and p-value (n,)."""

    @property
    def about(self) -> Judging:
        """What the job must know of the model."""
        ...

    @property
    def preprocessings(self) -> Sequence[PreprocessingRecord]:
        """How an image becomes each of the inputs."""
        ...

    def __call__(self, inputs: Sequence[Inputs]) -> tuple[np.ndarray, np.ndarray]:
        """Score a batch."""
        ...


Opener = Callable[[Path], Judge]
"""Opens the model in a folder, with one thread. It travels to workers by its name."""


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """Scores and p-values (n,) of n images, NaN for those that could not be read; `reasons` says why, by place.

    `unfetched` are the places of those that could not be fetched, for a reason that may pass.
    """

    scores: NDArray[np.float64]
    p_values: NDArray[np.float64]
    reasons: dict[int, str]
    unfetched: frozenset[int] = frozenset()


@final
@dataclass
class Connection:
    """Counts images in succession that could not be fetched: ten mean that it is lost.

    So a lost connection does not turn every image that is left into an unreadable one.
    """

    failures: int = 0

    def note(self, name: str, failure: object = None) -> None:
        """Count an image that could not be fetched, or begin anew after one that could; raises InputError."""
        self.failures = 0 if failure is None else self.failures + 1
        if self.failures == LOST_AT:
            raise InputError(f"{LOST_AT} images in succession could not be fetched, the last because {name} {failure}.")


def describe(opener: Opener, model: Path) -> Judging:
    """Return what a job must know of the model in a folder, as it is now; opens it."""
    _opened.cache_clear()
    return _opened(opener, model).about


def score_piece(opener: Opener, model: Path, sha256: str, part: Part, start: int, stop: int) -> Rows:
    """Score the images from `start` to `stop` of a part, in bounded memory.

    Raises: IntegrityError where the model is another one than `sha256`; InputError where ten images in succession
    could not be fetched (`Connection`; those of several pieces are counted by `score_parts`).
    """
    judge = _opened(opener, model)
    if judge.about.sha256 != sha256:
        raise IntegrityError(f"{model} was replaced while its job ran: start again with the model the job began with.")
    scores, p_values = (np.full(stop - start, np.nan) for _ in range(2))
    failures: dict[int, UnreadableImageError] = {}
    images = _while_connected(part.open(start, stop), part.names[start:stop])
    for places, inputs, failed in _batches(images, judge.preprocessings):
        if places:
            scores[places], p_values[places] = judge(inputs)
        failures |= failed
    reasons = {place: error.reason for place, error in failures.items()}
    unfetched = frozenset(place for place, error in failures.items() if isinstance(error, UnreachableImageError))
    return Rows(scores, p_values, reasons, unfetched)


@lru_cache(maxsize=1)
def _opened(opener: Opener, model: Path) -> Judge:
    return opener(model)


def _while_connected(images: Iterator[Opened], names: Sequence[str]) -> Iterator[Opened]:
    connection = Connection()
    for name, image in zip(names, images, strict=True):
        connection.note(name, image if isinstance(image, UnreachableImageError) else None)
        yield image


def _batches(
    images: Iterator[Opened], preprocessings: Sequence[PreprocessingRecord]
) -> Iterator[tuple[list[int], list[Inputs], dict[int, UnreadableImageError]]]:
    """Yield places and inputs of the images that can be read, and why the others cannot, batch by batch."""
    numbered = enumerate(images)
    while batch := list(islice(numbered, BATCH)):
        places: list[int] = []
        inputs: list[list[Inputs]] = [[] for _ in preprocessings]
        failed: dict[int, UnreadableImageError] = {}
        for place, image in batch:
            found = _inputs(image, preprocessings)
            if isinstance(found, UnreadableImageError):
                failed[place] = found
                continue
            places.append(place)
            for each, array in zip(inputs, found, strict=True):
                each.append(array)
        yield places, [np.stack(each) for each in inputs] if places else [], failed


def _inputs(image: Opened, preprocessings: Sequence[PreprocessingRecord]) -> list[Inputs] | UnreadableImageError:
    if isinstance(image, UnreadableImageError):
        return image
    try:
        pixels = read_pixels(image)
        return [preprocess(pixels, each) for each in preprocessings]
    except UnreadableImageError as error:
        return error.bare()
