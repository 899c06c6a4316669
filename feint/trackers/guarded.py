"""Trackers that cannot harm the run: what one of them raises is said once, and it hears no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from feint.core.tracking import Tracked, Tracker


@final
class Guarded(Tracker):
    """Several trackers as one; `say` is told in a sentence of each that fails, which is then left out.

    As a context it ends trackers that were begun and not ended: the run was broken off. Ctrl-C is not held back.
    """

    name = "guarded"

    def __init__(self, say: Callable[[str], None], trackers: Sequence[Tracker] = ()) -> None:
        self._say, self._trackers = say, list(trackers)
        self._begun = False

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._trackers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end([], finished=False)

    def begin(self, run: Tracked) -> None:
        self._begun = True
        self._each(lambda tracker: tracker.begin(run))

    def numbers(self, values: Mapping[str, float], *, step: int) -> None:
        self._each(lambda tracker: tracker.numbers(values, step=step))

    def picture(self, name: str, image: NDArray[np.uint8]) -> None:
        self._each(lambda tracker: tracker.picture(name, image))

    def end(self, files: Sequence[Path], *, finished: bool) -> None:
        """End all that were begun, once."""
        if self._begun:
            self._begun = False
            self._each(lambda tracker: tracker.end(files, finished=finished))

    def _each(self, tell: Callable[[Tracker], None]) -> None:
        for tracker in list(self._trackers):
            try:
                tell(tracker)
            except Exception as error:  # whatever a disk or a server does
                self._trackers.remove(tracker)
                reason = next(iter(str(error).splitlines()), "").rstrip(".")
                what = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
                self._say(f"{tracker.name} failed and is told no more; the run goes on. {what}.")
