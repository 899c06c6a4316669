"""One job after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import ParamSpec, TypeVar, final

import numpy as np

from feint.backends.backend import Backend, SharedFile, share_file

P = ParamSpec("P")
T = TypeVar("T")


@final
class SerialExecutor(Backend):
    """Runs each job when it is submitted; its error waits in the Future, except Ctrl-C, which is raised at once.

    Example:
        >>> with SerialExecutor() as executor:
        ...     list(executor.map(abs, [-1, 2, -3]))
        [1, 2, 3]
    """

    workers = 1

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` now and return its outcome as a finished Future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            future.set_exception(error)
        return future

    def share(self, array: np.ndarray, *, folder: Path, name: str) -> SharedFile:
        """Write the array to a file that jobs map; see `share_file`."""
        return share_file(array, folder=folder, name=name)
