"""What an image set holds, as far as headers tell: sizes, modes, colour, depth, and what cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError
from feint.data.images import ImageSet
from feint.data.pools import in_order
from feint.data.reading import FRAMES_COUNTED, GREY_MODES, Header, UnreadableImageError, has_colour, is_deep
from feint.records.run import Skipped

COLOUR_SAMPLE = 32


@dataclass(frozen=True, eq=False)
class Survey:
    """What the headers of n usable images say.

    kept (n,): their indices in the image set. sizes (n, 2): height and width in pixels. modes (n): as Pillow
    names them ('L', 'RGB', 'I;16', ...). skipped: the rest, with reasons. notes: facts worth telling.
    colour: whether any of at most 32 evenly spaced images has channels that differ. maximum: the largest pixel of
    the images deeper than 8 bits; None without such.
    """

    kept: NDArray[np.intp]
    sizes: NDArray[np.int64]
    modes: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    colour: bool
    maximum: float | None

    def extreme_sizes(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Return height and width of the images that are smallest, in the middle and largest by area."""
        order = np.argsort(self.sizes[:, 0] * self.sizes[:, 1], kind="stable")
        picked = self.sizes[order[[0, len(order) // 2, -1]]]
        small, middle, large = ((int(height), int(width)) for height, width in picked)
        return small, middle, large

    def among(self, kept: NDArray[np.intp]) -> Survey:
        """Return what is said of those images alone that are `kept` too, as indices in the image set."""
        rows = np.flatnonzero(np.isin(self.kept, kept))
        return replace(self, kept=self.kept[rows], sizes=self.sizes[rows], modes=tuple(self.modes[i] for i in rows))

    def mode_counts(self) -> dict[str, int]:
        """Return how many images there are of each mode, the most frequent first."""
        return dict(Counter(self.modes).most_common())


def survey(images: ImageSet, *, workers: int = 1) -> Survey:
    """Return what the headers say; decodes only a sample for colour, and images deeper than 8 bits for their maximum.

    Raises: InputError when no image is usable.
    Cost: one header per image, about 0.1 ms each on a local disk.
    """
    kept: list[int] = []
    headers: list[Header] = []
    skipped: list[Skipped] = []
    notes: list[str] = []
    for i, outcome in enumerate(in_order(lambda i: _header_or_reason(images, i), range(len(images)), workers=workers)):
        if isinstance(outcome, UnreadableImageError):
            skipped.append(Skipped(path=images.names[i], reason=outcome.reason))
            continue
        kept.append(i)
        headers.append(outcome)
        if outcome.frames > 1:
            many = " or more" if outcome.frames == FRAMES_COUNTED else ""
            notes.append(f"{images.names[i]}: the first of {outcome.frames}{many} frames is used")
    refuse_empty(images, kept, skipped)
    return Survey(
        kept=np.array(kept, np.intp),
        sizes=np.array([(each.height, each.width) for each in headers], np.int64),
        modes=tuple(each.mode for each in headers),
        skipped=tuple(skipped),
        notes=tuple(notes),
        colour=_any_colour(images, [i for i, each in zip(kept, headers, strict=True) if not _grey_by_mode(each.mode)]),
        maximum=_maximum(images, [i for i, each in zip(kept, headers, strict=True) if is_deep(each.mode)], workers),
    )


def refuse_empty(images: ImageSet, kept: Sequence[object], skipped: Sequence[Skipped]) -> None:
    """Raise InputError, with the first reasons, when none of the images is usable."""
    if kept:
        return
    reasons = "; ".join(f"{each.path}: {each.reason}" for each in skipped[:3])
    raise InputError(
        f"none of the {len(images)} images in {images.source} can be used ({reasons}"
        f"{'; ...' if len(skipped) > 3 else ''}): give readable png, jpg, bmp, tif or webp images."
    )


def _header_or_reason(images: ImageSet, i: int) -> Header | UnreadableImageError:
    try:
        return images.header(i)
    except UnreadableImageError as error:
        return error.bare()


def _grey_by_mode(mode: str) -> bool:
    return mode in GREY_MODES or (is_deep(mode) and not mode.startswith("RGB"))


def _any_colour(images: ImageSet, coloured: list[int]) -> bool:
    """Tell whether channels differ in any of a sample, evenly spaced, of images that could hold colour."""
    sample = np.linspace(0, len(coloured) - 1, min(len(coloured), COLOUR_SAMPLE)).astype(int)
    for k in sample:
        try:
            if has_colour(images.read(coloured[k])):
                return True
        except UnreadableImageError:
            continue
    return False


def _maximum(images: ImageSet, deep: list[int], workers: int) -> float | None:
    """Return the largest pixel of the deep images, None if there is none that can be read."""

    def largest(i: int) -> float | None:
        try:
            return float(images.read(i).max())
        except UnreadableImageError:
            return None

    return max((each for each in in_order(largest, deep, workers=workers) if each is not None), default=None)
