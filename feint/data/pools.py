"""Threads that work ahead while results come in the order of the input."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
AHEAD = 4


def in_order(function: Callable[[int], T], items: Iterable[int], *, workers: int) -> Generator[T]:
    """Yield function(item) in the order of `items`, computed by `workers` threads at most 4 items ahead each.

    Example:
        >>> list(in_order(lambda i: i * i, range(4), workers=2))
        [0, 1, 4, 9]
    """
    if workers <= 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers)
    pending: deque[Future[T]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
