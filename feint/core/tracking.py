"""Where the numbers, pictures and files of a run go besides its own folder: the abstract `Tracker`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """What a tracker is told of a run before its first number.

    Args:
        command: "tune", "pretrain" or "study".
        out: the folder that the run makes, absolute; a tracker that is told no place writes beside it.
        settings: what was set, by name; values are plain data.
        key: names the run and every attempt to finish it; another run, or other settings, have another key.
        resumed: an earlier attempt may have told some of it already.
    """

    command: str
    out: Path
    settings: Mapping[str, object]
    key: str
    resumed: bool

    @property
    def name(self) -> str:
        """The run's name for people: that of its folder."""
        return self.out.name


class Tracker(ABC):
    """Is told of a run while it goes on, in the process that started it; four methods, called in this order.

    A run that is resumed tells everything again from its first step: what an earlier attempt with the same `key` has
    told must in the end be there once. Any exception is reported once, and the run goes on without the tracker.
    A constructor opens nothing; it raises SettingError where what it needs is not installed.
    """

    name: ClassVar[str]

    @abstractmethod
    def begin(self, run: Tracked) -> None:
        """Open what is needed, and keep the settings."""

    @abstractmethod
    def numbers(self, values: Mapping[str, float], *, step: int) -> None:
        """Keep numbers by name, such as `training_loss/train-0-mixture`; a name and a step come together once."""

    @abstractmethod
    def picture(self, name: str, image: NDArray[np.uint8]) -> None:
        """Keep a picture, uint8 (h, w) or (h, w, 3)."""

    @abstractmethod
    def end(self, files: Sequence[Path], *, finished: bool) -> None:
        """Keep the files of the run's folder and close; a run that was broken off is not `finished`, and has none."""
