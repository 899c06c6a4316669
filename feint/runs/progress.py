"""What a run says while it goes on: phases, how far they are, and plain sentences."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from feint.backends import PeakMemory
from feint.records.run import PhaseRecord


class Monitor(Protocol):
    """Where progress goes: a bar in a terminal, lines elsewhere, nothing in a library call."""

    def say(self, text: str) -> None:
        """Tell the user a sentence."""

    def phase(self, name: str) -> None:
        """A phase begins."""

    def advance(self, done: float, total: float) -> None:
        """Of the current phase, `done` of `total` is finished."""


class Silent:
    """A monitor that says nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def phase(self, name: str) -> None:
        """Say nothing."""

    def advance(self, done: float, total: float) -> None:
        """Say nothing."""


class Phases:
    """Measures seconds and peak memory of each phase, and announces it."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.records: list[PhaseRecord] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.monitor.phase(name)
        begun = time.monotonic()
        with PeakMemory() as peak:
            yield
        self.records.append(
            PhaseRecord(name=name, seconds=round(time.monotonic() - begun, 2), peak_mib=round(peak.mib, 1))
        )
