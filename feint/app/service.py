"""How the images of a request become scores, and how the run is exchanged meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, final

from feint.app.batches import Batcher, Raw
from feint.app.counters import Counters
from feint.app.limits import Limits, Refusal, Unread
from feint.app.messages import Answer, ScoredImage, UnreadImage
from feint.app.pictures import Pictures, png_text, read_uploads
from feint.app.served import Served
from feint.app.uploads import Upload, uploads_of
from feint.backends import available_cores
from feint.core.errors import FeintError

T = TypeVar("T")


@final
class Service:
    """Scores uploads by the run that `path` leads to; `swap` makes it look there again.

    Raises: InputError where `path` is no run, IntegrityError where it is damaged.
    """

    def __init__(self, path: Path, *, limits: Limits) -> None:
        self.limits, self.counters = limits, Counters()
        self.served = Served.load(path)
        self._path = path
        self._threads = ThreadPoolExecutor(available_cores(), thread_name_prefix="feint-decode")
        self._batcher = Batcher(self.counters.batch)
        self._swapping = asyncio.Lock()
        self.counters.serves(self.served.sha256)

    async def run(self) -> None:
        """Score until cancelled."""
        try:
            await self._batcher.run()
        finally:
            self._threads.shutdown(wait=False)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places for requests in flight; raises Refusal 429 where all are taken."""
        if self.counters.in_flight >= self.limits.in_flight:
            raise Refusal(429, f"{self.limits.in_flight} requests are being worked on: try again in a second")
        with self.counters.one_more_in_flight():
            yield

    async def swap(self) -> str:
        """Load the run anew and score the requests that come from then on with it; return what happened."""
        async with self._swapping:
            try:
                served = await asyncio.to_thread(Served.load, self._path)
            except (FeintError, OSError) as error:
                self.counters.swapped(done=False)
                return f"The run was not exchanged, model {self.served.name} goes on. {error}"
            self.served = served
            self.counters.swapped(done=True)
            self.counters.serves(served.sha256)
            return f"Serving {served.run.path}, model {served.name}."

    async def unpack(self, body: bytearray, *, content_type: str) -> list[Upload]:
        """Return the images in the body of a request; raises Refusal where it is not as expected."""
        return await self._aside(lambda: uploads_of(body, content_type=content_type, limits=self.limits))

    async def answer(self, uploads: list[Upload], *, maps: bool) -> Answer:
        """Return the scores of the images of a request.

        Raises: Refusal where they have too many pixels, or none can be read.
        """
        served = self.served
        plans = [member.preprocessing for member in served.model.members]
        try:
            pictures = await self._aside(lambda: read_uploads(uploads, plans, self.limits))
        except Refusal as refusal:
            self.counters.unread(len(refusal.unread))
            raise
        raw = await self._batcher.score(served.model, pictures.inputs, maps=maps)
        images = await self._aside(lambda: _images(served, uploads, pictures, raw))
        self.counters.images(images)
        return Answer(model=served.name, images=images)

    async def _aside(self, function: Callable[[], T]) -> T:
        """Return function(), computed while other requests are served."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)


def _images(served: Served, uploads: list[Upload], pictures: Pictures, raw: Raw) -> list[ScoredImage | UnreadImage]:
    """Return one message per upload, in their order."""
    score, p, flagged = served.model.judge(raw.scores)
    maps = [None] * len(score) if raw.maps is None else map(png_text, raw.maps, pictures.sizes)
    scored = zip(score, p, flagged, maps, strict=True)
    images: list[ScoredImage | UnreadImage] = []
    for upload, outcome in zip(uploads, pictures.outcomes, strict=True):
        if isinstance(outcome, Unread):
            images.append(UnreadImage(name=outcome.name, reason=outcome.reason))
        else:
            s, p_value, flag, grey = next(scored)
            images.append(
                ScoredImage(name=upload.name, score=float(s), p_value=float(p_value), flagged=bool(flag), map=grey)
            )
    return images
