"""Services that the tests of this folder ask."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from small_service import Serving, started

from feint.app.limits import Limits


@pytest.fixture
def serve(finished) -> Iterator[Callable[..., Serving]]:
    """Return a function that starts a service with a token or with limits; all are stopped in the end."""
    with contextlib.ExitStack() as stack:

        def start(*, path=finished.path, token: str | None = None, **limits: float) -> Serving:
            return stack.enter_context(started(path, limits=Limits(**limits), token=token))

        yield start


@pytest.fixture(scope="module")
def serving(finished) -> Iterator[Serving]:
    """Return a service with the limits of the command line, which the tests of a module share."""
    with started(finished.path, limits=Limits(), token=None) as found:
        yield found
