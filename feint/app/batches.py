"""Requests that arrive together are scored together, by one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np

from feint.core.detector import SCORED_AT_ONCE

if TYPE_CHECKING:
    from feint.runs.model import Model

LONGEST_WAIT = 0.002


@dataclass(frozen=True, eq=False)
class Work:
    """The images of one request as one model takes them: an array (n, c, h, w), uint8, for each of its members."""

    model: Model
    inputs: tuple[np.ndarray, ...]
    maps: bool
    done: asyncio.Future[Raw] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(frozen=True, eq=False)
class Raw:
    """What a model says of n images: each member's scores (n,), and grey maps (n, h, w), uint8, where asked for."""

    scores: list[np.ndarray]
    maps: np.ndarray | None


@final
class Batcher:
    """Scores what has gathered while the batch before was scored, and waits 2 ms at most for more to come.

    Args:
        observe: is told the number of images of each batch.

    Cost: one thread; a batch ends with the request that brings it to 64 images.
    """

    def __init__(self, observe: Callable[[int], None]) -> None:
        self._queue: asyncio.Queue[Work] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feint-score")
        self._observe = observe

    async def score(self, model: Model, inputs: tuple[np.ndarray, ...], *, maps: bool) -> Raw:
        """Return what `model` says of the images."""
        work = Work(model, inputs, maps)
        self._queue.put_nowait(work)
        return await work.done

    async def run(self) -> None:
        """Score until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                batch = await self._gather()
                self._observe(_images(batch))
                try:
                    found = await loop.run_in_executor(self._thread, score_together, batch)
                except Exception as error:  # each request reports it
                    found = [error] * len(batch)
                for work, raw in zip(batch, found, strict=True):
                    _settle(work.done, raw)
        finally:
            self._thread.shutdown(wait=False)

    async def _gather(self) -> list[Work]:
        batch = [await self._queue.get()]
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                while _images(batch) < SCORED_AT_ONCE:
                    batch.append(await self._queue.get())
        except TimeoutError:
            pass
        return batch


def score_together(batch: Sequence[Work]) -> list[Raw | Exception]:
    """Return what its model says of each request's images; requests to the same model are scored as one."""
    found: dict[int, Raw | Exception] = {}
    for model in {id(work.model): work.model for work in batch}.values():
        same = [k for k, work in enumerate(batch) if work.model is model]
        joined = [np.concatenate(each) for each in zip(*(batch[k].inputs for k in same), strict=True)]
        scores = [
            member.scores(_never_alone(pixels))[: len(pixels)]
            for member, pixels in zip(model.members, joined, strict=True)
        ]
        ends = np.cumsum([len(batch[k].inputs[0]) for k in same])
        for k, *own in zip(same, *(np.split(each, ends[:-1]) for each in scores), strict=True):
            found[k] = Raw(own, _grey_maps(model, batch[k].inputs[0]) if batch[k].maps else None)
    return [found[k] for k in range(len(batch))]


def _never_alone(pixels: np.ndarray) -> np.ndarray:
    """Return images (n, c, h, w), the last one twice where torch would otherwise see it alone.

    A single image takes other kernels than several: its score would differ by some 1e-6, by who else asks.
    """
    return np.concatenate([pixels, pixels[-1:]]) if len(pixels) % SCORED_AT_ONCE == 1 else pixels


def _grey_maps(model: Model, pixels: np.ndarray) -> np.ndarray:
    return model.grey_maps(model.members[0].maps(pixels))


def _images(batch: Sequence[Work]) -> int:
    return sum(len(work.inputs[0]) for work in batch)


def _settle(done: asyncio.Future[Raw], raw: Raw | Exception) -> None:
    if done.cancelled():
        return
    if isinstance(raw, Exception):
        done.set_exception(raw)
    else:
        done.set_result(raw)
