"""Where computations run: serially or in worker processes, each with its share of the cores.

Both are `concurrent.futures.Executor`s and give the same results in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from feint.backends.memory import PeakMemory, memory_total_and_available_mib
from feint.backends.processes import ProcessExecutor
from feint.backends.serial import SerialExecutor
from feint.backends.threads import available_cores, core_limits, divide, limit_threads, thread_environment
from feint.core.errors import SettingError

__all__ = [
    "PeakMemory",
    "ProcessExecutor",
    "SerialExecutor",
    "available_cores",
    "core_limits",
    "divide",
    "limit_threads",
    "memory_total_and_available_mib",
    "open_backend",
    "thread_environment",
]


@contextmanager
def open_backend(workers: int | None = None) -> Iterator[Executor]:
    """Open an executor that keeps all available cores busy and no more.

    With one worker, jobs run in this process with all cores as threads; with more, in that many processes, which share
    the cores evenly. This process is held to the same number of threads, then and afterwards, so that a computation
    gives the same bits here and in a worker. Another number of workers changes the threads, and so the last bits.

    Args:
        workers: at least 1; more than there are cores is as many as there are cores. None: one per core.

    Raises: SettingError if `workers` is less than 1.
    """
    if workers is not None and workers < 1:
        raise SettingError(f"workers must be at least 1: got {workers}.")
    cores = available_cores()
    workers = min(workers or cores, cores)
    threads = divide(cores, workers)
    limit_threads(threads)
    with SerialExecutor() if workers == 1 else ProcessExecutor(workers, threads=threads) as executor:
        yield executor
