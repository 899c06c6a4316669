"""The worker's side of the process backend: reads jobs from standard input, writes outcomes to standard output.

A job and an outcome are bytes within a pickle: what is inside may fail to unpickle, and the pipe keeps step.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys
import threading
from queue import SimpleQueue
from typing import BinaryIO

from feint.backends.memory import keep_freed_memory
from feint.backends.outcomes import perform


def serve() -> None:
    """Run jobs for as long as the parent holds the other end of standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    inbox, outbox = _take_pipes()
    jobs: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(inbox, jobs), daemon=True).start()
    while True:
        outcome = perform(_run, (jobs.get(),), {})
        pickle.dump(outcome, outbox)
        outbox.flush()


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes to ourselves: what a job prints goes to standard error, what it reads is empty."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if isinstance(sys.stderr, io.TextIOWrapper):  # a line is one write, or the lines of two workers mix
        sys.stderr.reconfigure(line_buffering=True, write_through=False)
    sys.stdout = sys.stderr
    return inbox, outbox


def _receive(inbox: BinaryIO, jobs: SimpleQueue[bytes]) -> None:
    """Hand on jobs; when the parent is gone, however it went, so is this process, even in the middle of a job."""
    while True:
        try:
            jobs.put(pickle.load(inbox))  # noqa: S301
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)


def _run(job: bytes) -> object:
    function, args, kwargs = pickle.loads(job)  # noqa: S301
    return function(*args, **kwargs)
