"""A refit with the marks, as a process of its own: it goes on when the browser, or this program, goes away."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from pydantic import BaseModel, ConfigDict

from feint.core.files import write_text

State = Literal["running", "done", "failed", "cancelled"]
Command = Callable[[Path, Path, Path], Sequence[str]]
PATIENCE_SECONDS = 10.0
LONGEST_LOG = 64 * 1024


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

    A refit inherits the lock on its log, so that whether it runs is known even to a program started later.
    """

    def __init__(self, run: Path, folder: Path, *, command: Command = refit_command) -> None:
        self._run, self._folder, self._command = run, folder, command
        self._process: subprocess.Popen[bytes] | None = None

    def last(self) -> Progress | None:
        """Return how the refit begun last is doing; None where there is none."""
        tickets = sorted(self._folder.glob("refit-*.json"), key=lambda path: int(path.stem.partition("-")[2]))
        return self._progress(Ticket.model_validate_json(tickets[-1].read_bytes())) if tickets else None

    def start(self, marks: str) -> Progress:
        """Begin a refit with marks (CSV); where one is running, that one is returned instead."""
        last = self.last()
        if last is not None and last.state == "running":
            return last
        number = last.ticket.number + 1 if last else 1
        table = self._folder / f"refit-{number}.csv"
        write_text(table, marks)
        out = self._free_place()
        log = self._log(number)
        with log.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._process = subprocess.Popen(
                self._command(self._run, table, out), stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        ticket = Ticket(number=number, out=out, marks=marks.count("\n") - 1, began=time.time(), pid=self._process.pid)
        self._keep(ticket)
        return self._progress(ticket)

    def cancel(self) -> None:
        """End the refit that is running, if any, with all its workers; what it has written so far is left."""
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

    def _keep(self, ticket: Ticket) -> None:
        write_text(self._folder / f"refit-{ticket.number}.json", ticket.model_dump_json())
