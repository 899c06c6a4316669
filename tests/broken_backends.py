"""Backends broken in one way each, and an honest one."""

from concurrent.futures import CancelledError, Executor, Future

from feint.backends import SerialExecutor
from feint.testing import backends as checks


class Wrapped(Executor):
    """Honest: hands every job to the serial executor."""

    def __init__(self):
        self.inner = SerialExecutor()

    def submit(self, fn, /, *args, **kwargs):
        return self.inner.submit(fn, *args, **kwargs)


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


def make(twin):
    """Return the executor of a twin."""
    return twin()


HONEST = [Wrapped]
TWINS = {
    checks.gives_the_results_of_a_plain_loop: [Rounding],
    checks.keeps_the_order_of_submission: [AsCompleted],
    checks.records_a_failing_task: [Swallowing],
    checks.a_failing_task_loses_no_other: [Fragile],
}
ALSO = {}
