"""Several worker processes, each with its own share of the cores.

Not `concurrent.futures.ProcessPoolExecutor`, whose workers import the user's script again and so need a guard in it,
and not loky, which ends all workers when one dies and leaves them behind when the parent is killed. Here each worker is
a plain child on two pipes. It ends when its end of the pipe closes, whatever became of the parent; when it dies itself,
exactly one job is lost, and known by name.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast, final

import numpy as np

from feint.backends.backend import Backend, SharedFile, share_file
from feint.backends.outcomes import job_name, result_of
from feint.backends.threads import thread_environment
from feint.core.errors import WorkerError

P = ParamSpec("P")
T = TypeVar("T")


@final
class ProcessExecutor(Backend):
    """Runs up to `workers` jobs at a time, each in a process of its own with `threads` threads.

    Functions and arguments travel by cloudpickle: a script needs no `if __name__ == "__main__"`, and functions of a
    notebook work. Workers start with the first jobs and are kept for the next ones. What a job prints goes to standard
    error. A job's error is raised by its Future, with the worker's traceback as a note; if the worker dies, it is a
    WorkerError that names the job, and the other jobs go on. When an exception (Ctrl-C too) leaves the `with` block,
    waiting jobs are cancelled and running ones stopped at once.

    Cost: 0.1 s to start a worker, and what its first job imports (torch: 2 s); then 0.2 ms per job.
    """

    def __init__(self, workers: int, *, threads: int) -> None:
        self.workers = workers
        self._threads = threads
        self._lanes = ThreadPoolExecutor(workers, thread_name_prefix="feint-lane")
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._alive: set[_Worker] = set()
        self._stopped = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return a Future of `fn(*args, **kwargs)`."""
        return self._lanes.submit(self._run, fn, args, kwargs)

    def share(self, array: np.ndarray, *, folder: Path, name: str) -> SharedFile:
        """Write the array to a file that the workers map; see `share_file`."""
        return share_file(array, folder=folder, name=name)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs; with `wait`, finish those there are, then end the workers."""
        self._lanes.shutdown(wait=wait, cancel_futures=cancel_futures)
        if wait:
            self._stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Finish all jobs, or, after an exception, stop them."""
        if kind is None:
            self.shutdown()
        else:
            self._lanes.shutdown(wait=False, cancel_futures=True)
            self._stop()

    def _run(self, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        import cloudpickle

        job = cloudpickle.dumps((function, args, kwargs))
        worker = self._take()
        try:
            outcome = worker.run(job)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise self._bury(worker, job_name(function, args)) from error
        with self._lock:
            self._idle.append(worker)
        return result_of(outcome, function, args)

    def _take(self) -> _Worker:
        with self._lock:
            if self._stopped:
                raise WorkerError("the workers were stopped before this job could run.")
            if self._idle:
                return self._idle.pop()
            worker = _Worker(self._threads)
            self._alive.add(worker)
            return worker

    def _bury(self, worker: _Worker, name: str) -> WorkerError:
        """Return the error that says how `worker` ended while it ran the job `name`."""
        code = worker.end()
        with self._lock:
            self._alive.discard(worker)
            if self._stopped:
                return WorkerError(f"{name} was stopped.")
        if code >= 0:
            return WorkerError(f"the worker process that ran {name} ended itself with exit code {code}.")
        how = signal.Signals(-code).name
        hint = " The system may have run out of memory: use fewer workers." if how == "SIGKILL" else ""
        return WorkerError(f"the worker process that ran {name} was killed by {how}.{hint}")

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            workers = list(self._alive)
        for worker in workers:
            worker.kill()
        self._lanes.shutdown()
        for worker in workers:
            worker.end()


@final
class _Worker:
    """One child process that runs `feint.backends.worker.serve`."""

    def __init__(self, threads: int) -> None:
        # Its own session: the terminal's Ctrl-C reaches only the parent. Its pipes: closed by whatever ends the parent.
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import sys; sys.path[:] = {sys.path!r}; from feint.backends.worker import serve; serve()",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | thread_environment(threads),
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._inbox, self._outbox = self._process.stdin, self._process.stdout

    def run(self, job: bytes) -> bytes:
        """Send a pickled job and wait for its pickled outcome."""
        pickle.dump(job, self._inbox)
        self._inbox.flush()
        return cast("bytes", pickle.load(self._outbox))  # noqa: S301

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int:
        """End the process if it has not ended by itself, and return its exit code (negative: the signal)."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)  # a dying process closes its pipes a moment before it has an exit code
        self._process.kill()
        with suppress(OSError):
            self._inbox.close()
        self._outbox.close()
        return self._process.wait()
