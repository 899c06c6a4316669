"""Talking to whoever runs a command: a bar in a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY = 15.0


def say(text: str) -> None:
    """Print a line on stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def names_in(text: str | None) -> tuple[str, ...] | None:
    """Split `a,b` into names; None stays None."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


class TerminalMonitor:
    """Shows phases as rich bars in a terminal; elsewhere a line when a phase begins and every 15 seconds."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._name = ""
        self._spoken = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

            self._bars = Progress(
                TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
                console=Console(stderr=True),
            )  # fmt: skip
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._bars is not None:
            if kind is None:
                self._complete()
            self._bars.stop()

    def say(self, text: str) -> None:
        """Print a sentence, above the bars if there are any."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False)
        else:
            say(text)

    def phase(self, name: str) -> None:
        """Begin a phase."""
        self._name = name
        if self._bars is not None:
            self._complete()
            self._task = self._bars.add_task(name, total=None)
        else:
            say(f"{name} ...")
            self._spoken = time.monotonic()

    def advance(self, done: float, total: float) -> None:
        """Show how far the phase is."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total)
        elif total and time.monotonic() - self._spoken > LINE_EVERY:
            say(f"{self._name}: {done / total:.0%}")
            self._spoken = time.monotonic()

    def _complete(self) -> None:
        if self._bars is not None and self._task is not None:
            task = self._bars.tasks[-1]
            total = task.total or 1
            self._bars.update(self._task, completed=total, total=total)
