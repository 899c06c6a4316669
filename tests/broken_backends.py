"""Backends broken in one way each, and an honest one."""

from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feint.backends import Backend, SerialExecutor, Shared
from feint.testing import backends as checks


class Wrapped(Backend):
    """Honest: hands every job to the serial executor."""

    def __init__(self):
        self.inner = SerialExecutor()
        self.workers = self.inner.workers

    def submit(self, fn, /, *args, **kwargs):
        return self.inner.submit(fn, *args, **kwargs)

    def share(self, array, *, folder, name):
        return self.inner.share(array, folder=folder, name=name)


class Rounding(Wrapped):
    """Results lose their last bits on the way."""

    def submit(self, fn, /, *args, **kwargs):
        future = self.inner.submit(fn, *args, **kwargs)
        if future.exception() is None and isinstance(future.result(), float):
            rounded = Future()
            rounded.set_result(round(future.result(), 6))
            return rounded
        return future


class AsCompleted(Wrapped):
    """Results come in the order in which jobs end."""

    def map(self, fn, *iterables, **_):
        return iter(sorted(super().map(fn, *iterables)))


class Swallowing(Wrapped):
    """A failing task ends as None."""

    def submit(self, fn, /, *args, **kwargs):
        future = self.inner.submit(fn, *args, **kwargs)
        if future.exception() is None:
            return future
        silent = Future()
        silent.set_result(None)
        return silent


class Fragile(Wrapped):
    """After one failure everything that follows is cancelled."""

    def __init__(self):
        super().__init__()
        self.broken = False

    def submit(self, fn, /, *args, **kwargs):
        if self.broken:
            cancelled = Future()
            cancelled.set_exception(CancelledError())
            return cancelled
        future = self.inner.submit(fn, *args, **kwargs)
        self.broken = future.exception() is not None
        return future


class SharingByName(Wrapped):
    """An array that is shared under the name of an earlier one is taken for it."""

    def __init__(self):
        super().__init__()
        self.known = {}

    def share(self, array, *, folder, name):
        return self.known.setdefault(name, super().share(array, folder=folder, name=name))


@dataclass(frozen=True)
class Copied(Shared):
    """Carries the array itself."""

    array: np.ndarray

    def open(self):
        view = self.array.view()
        view.flags.writeable = False
        return view


class Copying(Wrapped):
    """Every job gets a copy of the array."""

    def share(self, array, *, folder, name):
        return Copied(array)


@dataclass(frozen=True)
class Writeable(Shared):
    """Opens a file for reading and writing."""

    path: Path

    def open(self):
        return np.load(self.path, mmap_mode="r+")


class SharingForWriting(Wrapped):
    """Jobs can change the shared array."""

    def share(self, array, *, folder, name):
        return Writeable(super().share(array, folder=folder, name=name).path)


def make(twin):
    """Return the executor of a twin."""
    return twin()


HONEST = [Wrapped]
TWINS = {
    checks.gives_the_results_of_a_plain_loop: [Rounding],
    checks.keeps_the_order_of_submission: [AsCompleted],
    checks.records_a_failing_task: [Swallowing],
    checks.a_failing_task_loses_no_other: [Fragile],
    checks.gives_jobs_the_arrays_it_shares: [SharingByName],
    checks.shares_by_reference: [Copying],
    checks.shares_for_reading_only: [SharingForWriting],
}
ALSO = {}
