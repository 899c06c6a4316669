"""Many machines, by way of Ray: every job is one Ray task with one core.

Each node needs Feint installed, the same Ray and the same Python, and whatever modules the jobs import; functions of
the script itself travel. No file system is shared: arguments, shared arrays and results all travel through Ray.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, ParamSpec, TypeVar, cast, final

import numpy as np

from feint.backends.backend import Backend, Shared, digest
from feint.backends.outcomes import job_name, perform, result_of
from feint.backends.threads import available_cores, thread_environment
from feint.core.errors import SettingError, WorkerError

P = ParamSpec("P")
T = TypeVar("T")

RETRIES = 3
CONNECT_SECONDS = 5
COLOUR = re.compile(r"\x1b\[\d+m")


@final
@dataclass(frozen=True, kw_only=True)
class SharedObject(Shared):
    """An array in Ray's object store: a node fetches it once, and its jobs read that one copy."""

    ref: Any

    def open(self) -> np.ndarray:
        return cast("np.ndarray", _ray().get(self.ref))


@final
class RayExecutor(Backend):
    """Runs up to `workers` jobs at a time on the nodes of a Ray cluster, each on one core with one thread.

    A job whose node or process dies is run again elsewhere, up to 3 times, so a job must do no harm when it is run
    twice; then its Future holds a WorkerError. An error of the job itself is not tried again: its Future raises it,
    with the worker's traceback as a note. When an exception (Ctrl-C too) leaves the `with` block, waiting jobs are
    cancelled and running ones stopped at once.

    Args:
        address: "HOST:PORT" of a running cluster, of which this machine must be a node. None: a cluster of this machine
            alone, which ends with the executor and leaves nothing behind.
        workers: at least 1; None: as many as there are cores, of the cluster as it is when the executor opens.

    Raises: SettingError if Ray is not installed, already in use in this process, or no cluster answers.

    Fails when: the machine that opened it dies; its shared arrays and its results are kept there.

    Cost: 5 s to start a cluster of this machine, 1 s to start a worker; then 1 ms per job.
    """

    def __init__(self, *, address: str | None = None, workers: int | None = None) -> None:
        self._ray = _ray()
        self._home: Path | None = None
        if address is None:
            self._home = _start(self._ray, workers)
        else:
            _connect(self._ray, address)
        self.workers = workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._task = self._ray.remote(num_cpus=1, max_retries=RETRIES, runtime_env={"env_vars": thread_environment(1)})(
            perform
        )
        self._lanes = ThreadPoolExecutor(self.workers, thread_name_prefix="feint-ray")
        self._lock = threading.Lock()
        self._running: set[Any] = set()
        self._shared: dict[str, SharedObject] = {}
        self._stopped = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return a Future of `fn(*args, **kwargs)`."""
        return self._lanes.submit(self._run, fn, args, kwargs)

    def share(self, array: np.ndarray, *, folder: Path, name: str) -> SharedObject:  # noqa: ARG002
        """Put the array into Ray's object store, unless it is there; no file is written."""
        key = digest(array)
        if key not in self._shared:
            self._shared[key] = SharedObject(ref=self._ray.put(array))
        return self._shared[key]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs; with `wait`, finish those there are, then leave the cluster or end it."""
        self._lanes.shutdown(wait=wait, cancel_futures=cancel_futures)
        if wait:
            self._leave()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Finish all jobs, or, after an exception, stop them."""
        if kind is None:
            self.shutdown()
            return
        self._lanes.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for ref in running:
            self._ray.cancel(ref, force=True)
        self._lanes.shutdown()
        self._leave()

    def _run(self, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        with self._lock:
            if self._stopped:
                raise WorkerError("the workers were stopped before this job could run.")
            ref = self._task.remote(function, args, kwargs)
            self._running.add(ref)
        try:
            outcome = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            raise self._lost(error, job_name(function, args)) from error
        finally:
            with self._lock:
                self._running.discard(ref)
        return result_of(outcome, function, args)

    def _lost(self, error: Exception, name: str) -> WorkerError:
        """Return the error that says why the job `name` has no outcome."""
        if self._stopped:
            return WorkerError(f"{name} was stopped.")
        if isinstance(error, self._ray.exceptions.RayTaskError):
            return WorkerError(f"{name} failed in its worker:\n{COLOUR.sub('', str(error))}")
        why = " ".join(str(error).split())
        return WorkerError(f"{name} lost its worker {1 + RETRIES} times: {type(error).__name__}: {why}")

    def _leave(self) -> None:
        self._shared.clear()
        self._ray.shutdown()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)


def _ray() -> ModuleType:
    """Import Ray, which is an extra, and tell it to call nobody."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise SettingError("Ray is not installed: pip install 'feint[ray]'.") from error
    return cast("ModuleType", ray)


def _start(ray: ModuleType, workers: int | None) -> Path:
    """Start a cluster of this machine alone; return the folder of its logs and sockets, which is ours to remove."""
    # The path of a socket must stay below 104 characters, which the temporary folder of macOS uses up.
    home = Path(tempfile.mkdtemp(prefix="feint-ray-", dir="/tmp" if os.name == "posix" else None))  # noqa: S108
    cores = available_cores() if workers is None else workers
    try:
        _init(ray, address="local", num_cpus=cores, include_dashboard=False, _temp_dir=str(home))
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    return home


def _connect(ray: ModuleType, address: str) -> None:
    """Become a driver of the cluster at `address`; Ray itself would wait minutes for one that is not there."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise SettingError(f"the address of a Ray cluster must be HOST:PORT, such as 10.0.0.1:6379: got {address!r}.")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
        _init(ray, address=address)
    except (OSError, OverflowError) as error:
        raise SettingError(
            f"no Ray cluster answers at {address} ({error}). Run `ray start --head --port={port}` on {host}, and "
            f"`ray start --address={address}` on this machine and every other one."
        ) from error


def _init(ray: ModuleType, **settings: object) -> None:
    """Call `ray.init` so that it prints nothing."""
    if ray.is_initialized():
        raise SettingError("Ray is already in use in this process: call ray.shutdown() first.")
    ray.init(log_to_driver=False, logging_level="CRITICAL", **settings)
