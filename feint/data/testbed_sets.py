"""The normal set: what one training sees and what its detector is tested on; and how one is made of a collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from feint.core.errors import InputError
from feint.core.streams import numpy_stream
from feint.data.testbed_collections import Collection, Kinds, Read, Rows, Split
from feint.data.testbed_draws import (
    CONTROLLED,
    Boxes,
    controlled,
    draw_boxes,
    hidden_among,
    hidden_count,
    inside,
    pool_rows,
    spare_rows,
    subset,
)
from feint.data.testbed_settings import TestbedSettings

REST = "rest"


@final
@dataclass(frozen=True)
class Task:
    """What is to be told from the normal pictures: `kinds` are indices into the names of the normal set."""

    testbed: str
    anomaly: str
    kinds: tuple[int, ...]


@final
@dataclass(frozen=True, eq=False)
class Pictures:
    """Test pictures that all normal sets of one data set share.

    pixels (p, c, h, w) uint8. ids (p): the split and row of a class set, or the path in a folder. masks (p, h, w): the
    anomalous pixels; masked (p,): where they are known; both None for data without ground truth.
    """

    pixels: NDArray[np.uint8]
    ids: tuple[str, ...]
    masks: NDArray[np.bool_] | None
    masked: NDArray[np.bool_] | None


@final
@dataclass(frozen=True, eq=False)
class NormalSet:
    """What one training sees and what its detector is tested on.

    data, normal: names of the data set and of its normal class or category. train (n, c, h, w) uint8: the normal
    pictures, then those `hidden` among them, whose ids it lists. pictures[rows] are tested, and the controlled
    anomalies, made of its normal pictures with `boxes` (None without that testbed). names: of the kinds, the normal one
    first; kinds (m,): index into it of each test picture. pools: for each of `tasks` the test pictures it is about,
    ascending. skipped: unreadable pictures, with reasons.
    """

    data: str
    normal: str
    train: NDArray[np.uint8]
    hidden: tuple[str, ...]
    pictures: Pictures
    rows: Rows
    boxes: Boxes | None
    kinds: Kinds
    names: tuple[str, ...]
    tasks: tuple[Task, ...]
    pools: tuple[Rows, ...]
    skipped: tuple[str, ...]

    @property
    def test(self) -> NDArray[np.uint8]:
        """The test pictures (m, c, h, w), uint8: shared memory where all and nothing but the shared ones are tested."""
        pixels = self.pictures.pixels
        shared = pixels if len(self.rows) == len(pixels) else pixels[self.rows]
        if self.boxes is None:
            return shared
        return np.concatenate([shared, controlled(shared[self.kinds[: len(shared)] == 0], self.boxes)])

    @property
    def ids(self) -> tuple[str, ...]:
        """One unique id per test picture; a controlled anomaly is its original and what was done: 'test/12:flip'."""
        shared = [self.pictures.ids[row] for row in self.rows]
        if self.boxes is None:
            return tuple(shared)
        normal = [each for each, kind in zip(shared, self.kinds, strict=False) if kind == 0]
        return tuple(shared + [f"{each}:{made}" for made in CONTROLLED for each in normal])

    @property
    def masks(self) -> NDArray[np.bool_] | None:
        """The anomalous pixels (m, h, w) of the test pictures: none of a normal, all of a flipped or inverted one."""
        if self.pictures.masks is None:
            return None
        shared = self.pictures.masks[self.rows]
        if self.boxes is None:
            return shared
        boxes = inside(self.boxes, shared.shape[1:])
        return np.concatenate([shared, np.ones_like(boxes), boxes, np.ones_like(boxes)])

    @property
    def masked(self) -> NDArray[np.bool_] | None:
        """Which test pictures (m,) have a ground truth that locates; flipped and inverted ones have none."""
        if self.pictures.masked is None:
            return None
        shared = self.pictures.masked[self.rows]
        boxes = 0 if self.boxes is None else len(self.boxes)
        return np.concatenate([shared, np.repeat([made == "cutout" for made in CONTROLLED], boxes)])


def normals_of(part: Collection, settings: TestbedSettings) -> list[str]:
    """Return the normal names of a collection that the settings ask for, in its order."""
    wanted = {part.aliases.get(each, each) for each in settings.normal}
    return [each for each in part.normals if not wanted or each in wanted]


def tasks_of(part: Collection, normal: str, settings: TestbedSettings) -> list[Task]:
    """Return the tasks of the normal set called `normal`; their kinds index `_shown` and the controlled anomalies."""
    shown = _shown(part, normal, settings)
    index = {k: i for i, k in enumerate(shown)}
    tasks: list[Task] = []
    for testbed in dict.fromkeys(settings.tasks):
        if testbed == "one-vs-rest":
            rest = tuple(index[k] for k in shown[1:])
            tasks += [Task(testbed, REST, rest)] if rest else []
        elif testbed == "controlled":
            tasks += [Task(testbed, each, (len(shown) + i,)) for i, each in enumerate(CONTROLLED)]
        else:
            single = _single(part, normal, settings)
            tasks += [Task(testbed, part.kinds[k], (index[k],)) for k in single]
    return tasks


def _others(part: Collection, normal: str) -> list[int]:
    return [int(k) for k in np.unique(part.test) if k != part.kinds.index(normal)]


def _single(part: Collection, normal: str, settings: TestbedSettings) -> list[int]:
    """Return the kinds that are an anomaly in a task of their own."""
    picked = {part.aliases.get(each, each) for each in settings.anomalies}
    return [k for k in _others(part, normal) if not picked or part.kinds[k] in picked]


def _shown(part: Collection, normal: str, settings: TestbedSettings) -> list[int]:
    """Return the kinds of which test pictures are needed, the normal one first."""
    if "one-vs-rest" in settings.tasks:
        anomalous = _others(part, normal)
    else:
        anomalous = [] if set(settings.tasks) == {"controlled"} else _single(part, normal, settings)
    return [part.kinds.index(normal), *anomalous]


def sets_of(part: Collection, *, name: str, settings: TestbedSettings, seed: int) -> list[NormalSet]:
    """Return the normal sets of one collection, which share their test pictures."""
    return _Maker(part, name, settings, seed).sets()


@dataclass(frozen=True, eq=False)
class _Maker:
    """Makes the normal sets of one collection."""

    part: Collection
    name: str
    settings: TestbedSettings
    seed: int

    def sets(self) -> list[NormalSet]:
        """Draw, then read the test pictures once, then the training pictures of each normal set."""
        normals = normals_of(self.part, self.settings)
        trained = {normal: self._training_rows(normal) for normal in normals}
        hidden = {normal: self._hidden_rows(normal, len(trained[normal])) for normal in normals}
        leaving = np.concatenate(list(hidden.values())) if self.part.defects else np.zeros(0, np.intp)
        rows = self._test_rows(
            sorted({k for normal in normals for k in _shown(self.part, normal, self.settings)}), leaving
        )
        test = self.part.read("test", rows)
        kinds = self.part.test[rows[test.kept]]
        masks, masked = self.part.masks(rows[test.kept]) if self.part.masks else (None, None)
        pictures = Pictures(test.pixels, test.ids, masks, masked)
        return [
            self._set(normal, pictures, kinds, test.skipped, train=self._train(trained[normal], hidden[normal]))
            for normal in normals
        ]

    def _stream(self, *names: str) -> np.random.Generator:
        return numpy_stream(self.seed, names[0], self.name, *names[1:])

    def _training_rows(self, normal: str) -> Rows:
        rows = np.flatnonzero(self.part.train == self.part.kinds.index(normal))
        return subset(rows, self.settings.train_limit, self._stream("train", normal))

    def _hidden_rows(self, normal: str, count: int) -> Rows:
        """Return the rows of the anomalies to be hidden in train: of the test split if they are defects."""
        if not self.settings.contamination:
            return np.zeros(0, np.intp)
        kinds = _others(self.part, normal) if self.part.defects else _shown(self.part, normal, self.settings)[1:]
        labels = self.part.test if self.part.defects else self.part.train
        rows = np.flatnonzero(np.isin(labels, kinds))
        rng = self._stream("contamination", normal)
        if self.part.defects:
            rows = spare_rows(rows, labels[rows], rng)
        return hidden_among(rows, hidden_count(count, self.settings.contamination), rng, place=normal)

    def _test_rows(self, kinds: list[int], leaving: Rows) -> Rows:
        staying = np.setdiff1d(np.arange(len(self.part.test)), leaving)
        drawn = (
            subset(
                staying[self.part.test[staying] == k],
                self.settings.test_limit,
                self._stream("test", self.part.kinds[k]),
            )
            for k in kinds
        )
        return np.sort(np.concatenate(list(drawn)))

    def _train(self, rows: Rows, hidden: Rows) -> tuple[Read, Read | None]:
        split: Split = "test" if self.part.defects else "train"
        return self.part.read("train", rows), self.part.read(split, hidden) if len(hidden) else None

    def _set(
        self,
        normal: str,
        pictures: Pictures,
        kinds: Kinds,
        skipped: tuple[str, ...],
        *,
        train: tuple[Read, Read | None],
    ) -> NormalSet:
        """Return one normal set; `kinds` (p,) are those of the shared pictures, indices into the collection's."""
        shown = _shown(self.part, normal, self.settings)
        rows = np.flatnonzero(np.isin(kinds, shown))
        index = {k: i for i, k in enumerate(shown)}
        own = np.array([index[int(k)] for k in kinds[rows]], np.int64)
        if absent := [self.part.kinds[k] for k in shown if index[k] not in own]:
            raise InputError(f"none of the test pictures of {', '.join(absent)} in {self.name} can be read.")
        boxes = None
        names = tuple(self.part.kinds[k] for k in shown)
        if "controlled" in self.settings.tasks:
            originals = int((own == 0).sum())
            size = pictures.pixels.shape[2:]
            boxes = draw_boxes(originals, (size[0], size[1]), self._stream("controlled", normal))
            own = np.concatenate([own, np.repeat(np.arange(len(names), len(names) + len(CONTROLLED)), originals)])
            names += CONTROLLED
        tasks = tuple(tasks_of(self.part, normal, self.settings))
        clean, hidden = train
        return NormalSet(
            data=self.name,
            normal=normal,
            train=clean.pixels if hidden is None else np.concatenate([clean.pixels, hidden.pixels]),
            hidden=() if hidden is None else hidden.ids,
            pictures=pictures,
            rows=rows,
            boxes=boxes,
            kinds=own,
            names=names,
            tasks=tasks,
            pools=tuple(self._pool(own, task, normal) for task in tasks),
            skipped=clean.skipped + (() if hidden is None else hidden.skipped) + skipped,
        )

    def _pool(self, kinds: Kinds, task: Task, normal: str) -> Rows:
        return pool_rows(
            np.flatnonzero(kinds == 0),
            np.flatnonzero(np.isin(kinds, task.kinds)),
            self.settings.anomaly_share,
            self._stream("pool", normal, task.testbed, task.anomaly),
        )
