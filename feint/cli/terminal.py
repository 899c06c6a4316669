"""Talking to whoever runs a command: a bar in a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import math
import sys
import time
import unicodedata
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY = 15.0
STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format, halves of pairs, line and paragraph ends

TrackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--track", help="Tell tensorboard[:FOLDER] or mlflow[:URI] of the run, too; repeatable.", metavar="TRACKER"
    ),
]


class Commands(TyperGroup):
    """Commands whose wrong values are told without what some versions of typer, which ask pydantic, put before it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is asked for."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


def say(text: str) -> None:
    """Print a line, or several, on stderr."""
    print("\n".join(map(visible, text.split("\n"))), file=sys.stderr, flush=True)  # noqa: T201


def visible(text: str) -> str:
    r"""Return text, such as the name of a file, in which what would steer a terminal shows as an escape.

    Example:
        >>> print(visible("two" + chr(10) + "lines" + chr(27) + ".png"))
        two\nlines\x1b.png
    """
    return "".join(
        each.encode("unicode_escape").decode() if unicodedata.category(each) in STEERING else each for each in text
    )


def names_in(text: str | None) -> tuple[str, ...] | None:
    """Split `a,b` into names; None stays None."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


class StatusLine:
    """Shows one line kept up to date in a terminal; elsewhere a line at first, at the end and every 15 seconds."""

    def __enter__(self) -> Self:
        self._spoken = -math.inf
        self._terminal = sys.stderr.isatty()
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            say("")

    def show(self, line: str, *, last: bool) -> None:
        """Show what there is to say now, unless it must wait; the last word never waits."""
        now = time.monotonic()
        if not self._terminal and now - self._spoken < LINE_EVERY and not last:
            return
        self._spoken = now
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        else:
            say(line)


def duration(seconds: float) -> str:
    """Return a length of time in hours and minutes.

    Example:
        >>> duration(20), duration(600), duration(7260)
        ('under a minute', '10 min', '2 h 1 min')
    """
    minutes = round(seconds / 60)
    if minutes < 1:
        return "under a minute"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


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
            self._bars.console.print("\n".join(map(visible, text.split("\n"))), markup=False, highlight=False)
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
