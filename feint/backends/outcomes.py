"""How a job's outcome travels from the worker that ran it: as bytes that can always be read."""

from __future__ import annotations

import pickle
import reprlib
import traceback
from collections.abc import Callable
from typing import Any, TypeVar, cast

from feint.core.errors import WorkerError

T = TypeVar("T")


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
