"""Parts of a bulk job handed to workers in pieces: one that kills its worker is tried again, then in halves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from feint.backends import Backend, first_completed
from feint.core.errors import WorkerError
from feint.data.parts import FilesPart, Part
from feint.runs.bulk_worker import Connection, Rows

PIECE = 256
WAITING_PER_WORKER = 2
MOST_DEADLY = 20

Score = Callable[[Part, int, int], Rows]


@final
@dataclass(frozen=True)
class _Piece:
    """The images from `start` to `stop` of a part; `doubted` once it has killed a worker."""

    number: int
    part: Part
    start: int
    stop: int
    doubted: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """Where it lies in the source."""
        return self.number, self.start


def _pieces(number: int, part: Part) -> Iterator[_Piece]:
    """Yield the pieces of a part; rows stay together, since a reader of Parquet must pass all those before its own."""
    step = PIECE if isinstance(part, FilesPart) else len(part)
    for start in range(0, len(part), step):
        yield _Piece(number, part, start, min(start + step, len(part)))


@final
@dataclass
class _Gathered:
    """The rows of a part, as its pieces come in."""

    rows: Rows
    left: int

    @classmethod
    def of(cls, part: Part) -> _Gathered:
        return cls(Rows(np.full(len(part), np.nan), np.full(len(part), np.nan), {}), len(part))

    def add(self, piece: _Piece, found: Rows) -> None:
        self.rows.scores[piece.start : piece.stop] = found.scores
        self.rows.p_values[piece.start : piece.stop] = found.p_values
        self.rows.reasons.update({piece.start + place: reason for place, reason in found.reasons.items()})
        self.left -= piece.stop - piece.start


@final
@dataclass
class _Bulk:
    """Pieces that wait, that run, and parts of which some pieces have come in.

    Whole parts are `held` as long as the last images in succession could not be fetched, which are then in each of
    them: where the connection turns out to be lost, they are to be scored again. They are fewer than ten.
    """

    score: Score
    executor: Backend
    waiting: deque[_Piece] = field(default_factory=deque)
    running: dict[Future[Rows], _Piece] = field(default_factory=dict)
    gathered: dict[int, _Gathered] = field(default_factory=dict)
    held: list[tuple[int, Part, Rows]] = field(default_factory=list)
    connection: Connection = field(default_factory=Connection)
    deadly: int = 0

    def fill(self, parts: Iterator[tuple[int, Part]]) -> bool:
        """Keep the workers busy; False when nothing is left to do."""
        while len(self.running) < WAITING_PER_WORKER * self.executor.workers:
            if not self.waiting:
                if (following := next(parts, None)) is None:
                    break
                number, part = following
                self.gathered[number] = _Gathered.of(part)
                self.waiting.extend(_pieces(number, part))
            piece = self.waiting.popleft()
            self.running[self.executor.submit(self.score, piece.part, piece.start, piece.stop)] = piece
        return bool(self.running)

    def settle(self, piece: _Piece, future: Future[Rows]) -> Iterator[tuple[int, Part, Rows]]:
        """Keep what a piece has found, and yield parts that are whole; put one that killed its worker back."""
        try:
            found = future.result()
        except WorkerError as error:
            if not piece.doubted:
                self.waiting.append(replace(piece, doubted=True))
                return
            if piece.stop - piece.start > 1:
                middle = (piece.start + piece.stop) // 2
                self.waiting += [replace(piece, stop=middle), replace(piece, start=middle)]
                return
            found = self._given_up(error)
        names = piece.part.names
        for place in range(piece.stop - piece.start):
            self.connection.note(names[piece.start + place], found.reasons[place] if place in found.unfetched else None)
        if len(found.unfetched) < piece.stop - piece.start:
            yield from self.release()
        self.gathered[piece.number].add(piece, found)
        if not self.gathered[piece.number].left:
            self.held.append((piece.number, piece.part, self.gathered.pop(piece.number).rows))
        if not self.connection.failures:
            yield from self.release()

    def release(self) -> Iterator[tuple[int, Part, Rows]]:
        """Yield the parts that were held."""
        while self.held:
            yield self.held.pop(0)

    def _given_up(self, error: WorkerError) -> Rows:
        self.deadly += 1
        if self.deadly > MOST_DEADLY:
            raise WorkerError(
                f"{self.deadly} images have each killed the worker that read them, the last so: {error} Start again "
                "with fewer workers, or on a machine with more memory: what is finished is kept."
            ) from error
        return Rows(np.full(1, np.nan), np.full(1, np.nan), {0: f"the worker that read it died: {error}"})


def score_parts(
    parts: Iterator[tuple[int, Part]], score: Score, executor: Backend
) -> Generator[tuple[int, Part, Rows], None, None]:
    """Yield each numbered part with its rows as it comes in; few parts are in memory at a time.

    An image that alone kills a worker twice has that for its reason.

    Raises: what `score` raises; InputError where ten images in succession, as they come in, could not be fetched: no
    part that one of them is in was yielded, so that it can be tried again; WorkerError where more than 20 images kill
    their worker: then it is not the images.
    """
    bulk = _Bulk(score, executor)
    while bulk.fill(parts):
        for future in sorted(first_completed(bulk.running), key=lambda each: bulk.running[each].place):
            yield from bulk.settle(bulk.running.pop(future), future)
    yield from bulk.release()
