"""Where computations run: in this process, in worker processes or on the nodes of a Ray cluster.

All are `concurrent.futures.Executor`s and give the same results in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from feint.backends.backend import Backend, Shared
from feint.backends.memory import (
    PeakMemory,
    give_back_freed_memory,
    keep_freed_memory,
    memory_total_and_available_mib,
)
from feint.backends.outcomes import awaited, first_completed
from feint.backends.processes import ProcessExecutor
from feint.backends.ray import RayExecutor
from feint.backends.serial import SerialExecutor
from feint.backends.threads import (
    available_cores,
    core_limits,
    divide,
    limit_later_imports,
    limit_threads,
    thread_environment,
)
from feint.core.errors import SettingError

__all__ = [
    "BACKENDS",
    "Backend",
    "BackendName",
    "PeakMemory",
    "ProcessExecutor",
    "RayExecutor",
    "SerialExecutor",
    "Shared",
    "available_cores",
    "awaited",
    "core_limits",
    "divide",
    "first_completed",
    "give_back_freed_memory",
    "keep_freed_memory",
    "limit_later_imports",
    "limit_threads",
    "memory_total_and_available_mib",
    "open_backend",
    "open_named",
    "open_workers",
    "thread_environment",
]

BackendName = Literal["serial", "processes", "ray"]
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)


@contextmanager
def open_backend(workers: int | None = None) -> Iterator[Backend]:
    """Open a backend that keeps all available cores busy and no more: serial for one worker, processes for more.

    This process is held to a worker's number of threads, then and afterwards, so that a computation gives the same
    bits here and in a worker. Another number of workers changes the threads, and so the last bits.

    Args:
        workers: at least 1; more than there are cores is as many as there are cores. None: one per core.

    Raises: SettingError if `workers` is less than 1.
    """
    _check(workers)
    cores = available_cores()
    workers = min(workers or cores, cores)
    threads = divide(cores, workers)
    limit_threads(threads)
    with SerialExecutor() if workers == 1 else ProcessExecutor(workers, threads=threads) as backend:
        yield backend


@contextmanager
def open_named(name: BackendName, *, workers: int | None = None, address: str | None = None) -> Iterator[Backend]:
    """Open the backend of this name.

    This process is held to a worker's number of threads, as by `open_backend`: all cores for "serial", an even share
    for "processes", one for "ray".

    Args:
        name: "serial" (one worker, this process), "processes" or "ray".
        workers: at least 1; "processes" takes no more than there are cores. None: one per core.
        address: "HOST:PORT" of a running Ray cluster. None: this machine alone.

    Raises: SettingError if the settings are impossible or do not go together, or Ray is not installed or reachable.
    """
    _check_named(name, workers, address)
    cores = available_cores()
    count = 1 if name == "serial" else min(workers or cores, cores)
    threads = 1 if name == "ray" else divide(cores, count)
    limit_threads(threads)
    with _opened(name, workers, address, threads=threads) as opened:
        yield opened


@contextmanager
def open_workers(name: BackendName, *, workers: int | None = None, address: str | None = None) -> Iterator[Backend]:
    """Open the backend of this name for jobs of one thread each; torch is not imported, this process left as it is.

    Args and Raises: as for `open_named`. A job of "serial" must hold itself to one thread.
    """
    _check_named(name, workers, address)
    with _opened(name, workers, address, threads=1) as opened:
        yield opened


def _opened(name: BackendName, workers: int | None, address: str | None, *, threads: int) -> Backend:
    cores = available_cores()
    if name == "serial":
        return SerialExecutor()
    if name == "processes":
        return ProcessExecutor(min(workers or cores, cores), threads=threads)
    return RayExecutor(address=address, workers=workers)


def _check_named(name: BackendName, workers: int | None, address: str | None) -> None:
    _check(workers)
    if name not in BACKENDS:
        raise SettingError(f"backend must be one of {', '.join(BACKENDS)}: got {name!r}.")
    if name == "serial" and workers not in {None, 1}:
        raise SettingError(f"the serial backend has one worker: got {workers}. Choose the backend processes.")
    if address is not None and name != "ray":
        raise SettingError(f"an address is for the backend ray: got {address!r} with {name}.")


def _check(workers: int | None) -> None:
    if workers is not None and workers < 1:
        raise SettingError(f"workers must be at least 1: got {workers}.")
