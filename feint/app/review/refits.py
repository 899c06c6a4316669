"""A refit with the marks, as a process of its own: it goes on when the browser, or this program, goes away."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, final

from pydantic import BaseModel, ConfigDict, ValidationError

from feint.core.errors import OutputError
from feint.core.files import write_text

State = Literal["running", "done", "failed", "cancelled"]
Command = Callable[[Path, Path, Path], Sequence[str]]
PATIENCE_SECONDS = 10.0
LONGEST_LOG = 64 * 1024
AT_A_WORD = ("sh", "-c", 'read -r _ && exec "$@" </dev/null', "refit")
"""Runs the command that follows when a line comes in; ends when none does, as when who was to send it was killed."""


class Ticket(BaseModel):
    """What is kept of a refit that was begun: `refit-K.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    out: Path
    marks: int
    began: float
    pid: int
    cancelled: bool = False
    ended: float | None = None


@dataclass(frozen=True)
class Progress:
    """How far a refit is: `line` is what it said last."""

    ticket: Ticket
    state: State
    line: str
    seconds: float


def refit_command(run: Path, marks: Path, out: Path) -> list[str]:
    """Return the command line of a refit."""
    return [sys.executable, "-m", "feint", "refit", str(run), str(marks), "--out", str(out)]


@final
class Refits:
    """The refits of one run, one at a time, each told by files in `folder`.

    A refit inherits the lock on its log, so that whether it runs is known even to a program started later. It begins
    when its ticket is written, so that none runs of which no ticket tells.
    """

    def __init__(self, run: Path, folder: Path, *, command: Command = refit_command) -> None:
        self._run, self._folder, self._command = run, folder, command
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()

    def last(self) -> Progress | None:
        """Return how the refit begun last is doing; None where there is none. One of a damaged ticket has failed."""
        with self._lock:
            numbers = [int(path.stem.partition("-")[2]) for path in self._folder.glob("refit-*.json")]
            return self._progress_of(max(numbers)) if numbers else None

    def start(self, marks: str) -> Progress:
        """Begin a refit with marks (CSV); where one is running, that one is returned instead.

        Raises: OutputError where the disk is full, or the log is held by a refit whose ticket was removed.
        """
        with self._lock:
            last = self.last()
            if last is not None and last.state == "running":
                return last
            number = last.ticket.number + 1 if last else 1
            table, out = self._folder / f"refit-{number}.csv", self._free_place()
            with self._log(number).open("ab") as log:
                _seize(log)
                write_text(table, marks)
                self._process = subprocess.Popen(
                    [*AT_A_WORD, *self._command(self._run, table, out)], stdin=subprocess.PIPE, stdout=log, stderr=log,
                    start_new_session=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
                )  # fmt: skip
            ticket = Ticket(
                number=number, out=out, marks=marks.count("\n") - 1, began=time.time(), pid=self._process.pid
            )
            assert self._process.stdin is not None
            with self._process.stdin as word:
                self._keep(ticket)
                word.write(b"begin\n")
            return self._progress(ticket)

    def cancel(self) -> None:
        """End the refit that is running, if any, with all its workers; what it has written so far is left."""
        with self._lock:
            last = self.last()
            if last is None or last.state != "running":
                return
            self._keep(last.ticket.model_copy(update={"cancelled": True}))
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(last.ticket.pid, number)
            except ProcessLookupError:
                return
            until = time.monotonic() + PATIENCE_SECONDS
            while self._runs(last.ticket) and time.monotonic() < until:
                time.sleep(0.05)

    def _progress_of(self, number: int) -> Progress:
        file = self._ticket(number)
        try:
            return self._progress(Ticket.model_validate_json(file.read_bytes()))
        except ValidationError:
            lost = Ticket(number=number, out=self._folder, marks=0, began=0, pid=0, ended=0)
            return Progress(lost, "failed", f"{file} was cut short or changed: how this refit went is not known.", 0)

    def _progress(self, ticket: Ticket) -> Progress:
        state: State = "running"
        if not self._runs(ticket):
            if ticket.ended is None:
                ticket = ticket.model_copy(update={"ended": time.time()})
                self._keep(ticket)
            done = (ticket.out / "refit.json").is_file()
            state = "done" if done else "cancelled" if ticket.cancelled else "failed"
        return Progress(ticket, state, self._said(ticket), (ticket.ended or time.time()) - ticket.began)

    def _runs(self, ticket: Ticket) -> bool:
        if self._process is not None and self._process.pid == ticket.pid:
            self._process.poll()
        try:
            with self._log(ticket.number).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            pass
        return False

    def _said(self, ticket: Ticket) -> str:
        """Return the last line of the log."""
        try:
            with self._log(ticket.number).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_LOG))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _free_place(self) -> Path:
        k = 1
        while True:
            place = self._run.with_name(f"{self._run.name}-refit-{k}")
            if not place.exists() and not Path(f"{place}.partial").exists():
                return place
            k += 1

    def _log(self, number: int) -> Path:
        return self._folder / f"refit-{number}.log"

    def _ticket(self, number: int) -> Path:
        return self._folder / f"refit-{number}.json"

    def _keep(self, ticket: Ticket) -> None:
        write_text(self._ticket(ticket.number), ticket.model_dump_json())


def _seize(log: BinaryIO) -> None:
    """Lock and empty a log; raises OutputError where a process that runs holds it."""
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"a refit that was begun without this page holds {log.name}: wait until it has ended, or end it."
        ) from error
    log.truncate(0)
