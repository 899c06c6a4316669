"""What every backend promises: an executor of jobs gives what a plain loop gives.

The jobs need only Python itself, so that workers start fast.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import Executor, wait

from feint.testing.promises import promise

BackendCheck = Callable[[Executor], None]

JOBS = 6
BAD = 2


def gives_the_results_of_a_plain_loop(executor: Executor) -> None:
    """Every result equals, to the last bit, that of the same call in a loop."""
    wanted = [_walk(seed) for seed in range(JOBS)]
    found = list(executor.map(_walk, range(JOBS)))
    promise(sorted(found) == sorted(wanted), f"results differ from those of a loop: got {found}, want {wanted}.")


def keeps_the_order_of_submission(executor: Executor) -> None:
    """Results come in the order in which jobs were given, not in that in which they end."""
    pauses = [0.2, 0.0, 0.1, 0.0]
    found = list(executor.map(_sleep, pauses))
    promise(found == pauses, f"jobs {pauses} came back as {found}.")


def records_a_failing_task(executor: Executor) -> None:
    """A task that raises ends with its own error in its own Future."""
    future = executor.submit(_fail_on, BAD, BAD)
    wait([future], timeout=60)
    promise(future.done(), "a failing task never ended.")
    error = None if future.cancelled() else future.exception()
    promise(
        isinstance(error, LookupError) and f"task {BAD} failed" in str(error),
        f"a task raised LookupError('task {BAD} failed'), and its Future holds {error!r}.",
    )


def a_failing_task_loses_no_other(executor: Executor) -> None:
    """Tasks before and after a failing one end with their results."""
    futures = [executor.submit(_fail_on, BAD, i) for i in range(JOBS)]
    wait(futures, timeout=60)
    lost = [
        i
        for i, future in enumerate(futures)
        if i != BAD and (not future.done() or future.cancelled() or future.exception() or future.result() != i)
    ]
    promise(not lost, f"task {BAD} failed, and tasks {lost} were lost with it.")


BACKEND_CHECKS: tuple[BackendCheck, ...] = (
    gives_the_results_of_a_plain_loop,
    keeps_the_order_of_submission,
    records_a_failing_task,
    a_failing_task_loses_no_other,
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
