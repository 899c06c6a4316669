"""What every backend promises: an executor of jobs gives what a plain loop gives, and shares arrays among them."""

from __future__ import annotations

import pickle
import random
import time
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from feint.backends import Backend, Shared
from feint.testing.promises import promise

BackendCheck = Callable[[Backend], None]

JOBS = 6
BAD = 2
LARGE = 1_000_000


def gives_the_results_of_a_plain_loop(backend: Backend) -> None:
    """Every result equals, to the last bit, that of the same call in a loop."""
    wanted = [_walk(seed) for seed in range(JOBS)]
    found = list(backend.map(_walk, range(JOBS)))
    promise(sorted(found) == sorted(wanted), f"results differ from those of a loop: got {found}, want {wanted}.")


def keeps_the_order_of_submission(backend: Backend) -> None:
    """Results come in the order in which jobs were given, not in that in which they end."""
    pauses = [0.2, 0.0, 0.1, 0.0]
    found = list(backend.map(_sleep, pauses))
    promise(found == pauses, f"jobs {pauses} came back as {found}.")


def records_a_failing_task(backend: Backend) -> None:
    """A task that raises ends with its own error in its own Future."""
    future = backend.submit(_fail_on, BAD, BAD)
    wait([future], timeout=60)
    promise(future.done(), "a failing task never ended.")
    error = None if future.cancelled() else future.exception()
    promise(
        isinstance(error, LookupError) and f"task {BAD} failed" in str(error),
        f"a task raised LookupError('task {BAD} failed'), and its Future holds {error!r}.",
    )


def a_failing_task_loses_no_other(backend: Backend) -> None:
    """Tasks before and after a failing one end with their results."""
    futures = [backend.submit(_fail_on, BAD, i) for i in range(JOBS)]
    wait(futures, timeout=60)
    lost = [
        i
        for i, future in enumerate(futures)
        if i != BAD and (not future.done() or future.cancelled() or future.exception() or future.result() != i)
    ]
    promise(not lost, f"task {BAD} failed, and tasks {lost} were lost with it.")


def gives_jobs_the_arrays_it_shares(backend: Backend) -> None:
    """A job opens the array that was shared, though another one was shared under the same name."""
    arrays: list[np.ndarray] = [np.arange(6, dtype=np.int16).reshape(2, 3), -np.ones((2, 3), dtype=np.float32)]
    with TemporaryDirectory() as folder:
        shared = [backend.share(array, folder=Path(folder), name="images") for array in arrays]
        found = [backend.submit(_numbers, each).result() for each in shared]
    wanted = [(array.dtype.str, array.tolist()) for array in arrays]
    promise(found == wanted, f"the shared arrays {wanted} arrived as {found}.")


def shares_by_reference(backend: Backend) -> None:
    """What travels to a job is a reference, whatever the size of the array."""
    with TemporaryDirectory() as folder:
        shared = backend.share(np.zeros(LARGE, dtype=np.uint8), folder=Path(folder), name="large")
        size = len(pickle.dumps(shared))
    promise(size < LARGE / 100, f"a shared array of {LARGE} bytes travels to every job as {size} bytes.")


def shares_for_reading_only(backend: Backend) -> None:
    """No job can change what the others read."""
    with TemporaryDirectory() as folder:
        shared = backend.share(np.zeros(3), folder=Path(folder), name="zeros")
        writeable = backend.submit(_writeable, shared).result()
    promise(not writeable, "a job can write to a shared array, which others read.")


BACKEND_CHECKS: tuple[BackendCheck, ...] = (
    gives_the_results_of_a_plain_loop,
    keeps_the_order_of_submission,
    records_a_failing_task,
    a_failing_task_loses_no_other,
    gives_jobs_the_arrays_it_shares,
    shares_by_reference,
    shares_for_reading_only,
)


def _walk(seed: int) -> float:
    chance = random.Random(seed)  # noqa: S311
    return sum(chance.gauss(0, 1) for _ in range(1000))


def _sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def _fail_on(bad: int, i: int) -> int:
    if i == bad:
        raise LookupError(f"task {i} failed")
    return i


def _numbers(shared: Shared) -> tuple[str, object]:
    array = shared.open()
    return array.dtype.str, array.tolist()


def _writeable(shared: Shared) -> bool:
    return bool(shared.open().flags.writeable)
