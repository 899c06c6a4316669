"""How a job's outcome travels from the worker that ran it: as bytes that can always be read."""

from __future__ import annotations

import pickle
import reprlib
import traceback
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar, cast

from feint.core.errors import WorkerError

T = TypeVar("T")

POLL = 0.5


def perform(function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Run a job; return pickled (True, result), (False, error) or, of an error that pickle cannot carry, its text."""
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps((True, function(*args, **kwargs))))
    except BaseException as error:
        text = traceback.format_exc()
        error.add_note(f"In the worker:\n{text}")
        try:
            outcome = bytes(cloudpickle.dumps((False, error)))
            pickle.loads(outcome)  # noqa: S301
        except Exception:
            return pickle.dumps((False, text))
        return outcome


def result_of(outcome: bytes, function: Callable[..., T], args: tuple[Any, ...]) -> T:
    """Return the result that `perform` packed, or raise the job's own error, with the worker's traceback as a note."""
    done, value = pickle.loads(outcome)  # noqa: S301
    if done:
        return cast("T", value)
    if isinstance(value, BaseException):
        raise value
    raise WorkerError(f"{job_name(function, args)} failed in its worker:\n{value}")


def job_name(function: Callable[..., object], args: tuple[Any, ...]) -> str:
    """Return a job's name for people: the function and its arguments, shortened."""
    return f"{getattr(function, '__qualname__', repr(function))}({', '.join(map(reprlib.repr, args))})"


def first_completed(futures: Collection[Future[T]]) -> set[Future[T]]:
    """Wait until some of the futures, at least one, are done, and return those.

    It waits in slices: a signal that comes at the very moment a thread begins to wait for a lock is only seen when the
    wait ends, so that a Ctrl-C could be lost for as long as a job runs.
    """
    done: set[Future[T]] = set()
    while not done:
        done = wait(futures, timeout=POLL, return_when=FIRST_COMPLETED).done
    return done


def awaited(future: Future[T]) -> T:
    """Return the result of a future, waiting for it as `first_completed` does."""
    return first_completed([future]).pop().result()
