"""Where a study's records live: one SQLite file and one array file per cell, written by one process at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from feint.core.errors import InputError, IntegrityError, OutputError
from feint.core.files import atomic
from feint.records.study import CELL_COLUMNS, ROW_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from feint.studies.cell import Cell, Outcome
    from feint.studies.wild_cell import WildCell

VERSION = 2
WITHOUT_TASKS = 1
FULL = ("full", "disk I/O error")
TABLES = """
    CREATE TABLE cells (
        key TEXT PRIMARY KEY, detector TEXT NOT NULL, augmentation TEXT NOT NULL, data TEXT NOT NULL,
        normal TEXT NOT NULL, task TEXT NOT NULL DEFAULT '', seed INTEGER NOT NULL, settings TEXT NOT NULL,
        planned INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
        traceback TEXT NOT NULL DEFAULT '', seconds REAL, finished TEXT
    ) STRICT;
    CREATE TABLE results (
        key TEXT NOT NULL REFERENCES cells (key) ON DELETE CASCADE, testbed TEXT NOT NULL, anomaly TEXT NOT NULL,
        metric TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (key, testbed, anomaly, metric)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class Counts:
    """How many of the planned cells are done, failed and left."""

    done: int
    failed: int
    left: int


class Store:
    """The records of a study in the folder `path`.

    A cell is known by its key, the hash of all that decides its result. Its status is "left", "done" or "failed". Those
    of an earlier plan or version are kept and taken up again when they are planned again. Each cell is recorded in one
    transaction, after its arrays were renamed into place: whatever moment the process dies at, a cell is there or not.

    Args:
        path: the folder. write: become the one writer, and make the folder if there is none.

    Raises: InputError where there is no store, or another engine is writing to it; IntegrityError where it was written
    by a version of Feint that this one does not understand; OutputError where the disk is full.
    """

    def __init__(self, path: str | Path, *, write: bool = False) -> None:
        self.path = Path(path)
        self._write = write

    def __enter__(self) -> Self:
        file = self.path / "study.sqlite"
        if not self._write and not file.exists():
            raise InputError(f"{self.path} holds no study: `feint study run PLAN --store {self.path}` makes one.")
        with _told(self.path):
            if self._write:
                self.path.mkdir(parents=True, exist_ok=True)
                self._lock()
            self._base = sqlite3.connect(file, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self.__exit__(None, None, None)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._base.close()
        if self._write:
            self._held.release()

    def _lock(self) -> None:
        from filelock import FileLock, Timeout

        self._held = FileLock(self.path / "lock")
        try:
            self._held.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"another engine is running on {self.path}: wait for it, or choose another store."
            ) from error

    def _prepare(self) -> None:
        try:
            (found,) = self._base.execute("PRAGMA user_version").fetchone()
            tables = self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if any(word in str(error) for word in FULL):
                raise
            raise IntegrityError(f"{self.path / 'study.sqlite'} is no store of a study: {error}.") from error
        if found > VERSION or (found == 0 and tables):
            raise IntegrityError(
                f"{self.path} was written by another version of Feint (format {found}, this one knows {VERSION}): "
                "use that version, or choose another store."
            )
        self._base.execute("PRAGMA foreign_keys = ON")
        if self._write:
            self._base.execute("PRAGMA journal_mode = WAL")
        if found == 0:
            if not self._write:
                raise InputError(f"{self.path} holds no finished set-up of a study: run it again.")
            with self._transaction():
                for statement in TABLES.split(";"):
                    self._base.execute(statement)
                self._base.execute(f"PRAGMA user_version = {VERSION}")
        elif found == WITHOUT_TASKS:
            self._add_tasks()

    def _add_tasks(self) -> None:
        """Bring a store of format 1, whose cells all served every task, to the present one."""
        with self._transaction():
            if self._base.execute("PRAGMA user_version").fetchone() == (WITHOUT_TASKS,):
                self._base.execute("ALTER TABLE cells ADD COLUMN task TEXT NOT NULL DEFAULT ''")
                self._base.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _told(self.path):
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

    def plan(self, cells: Sequence[Cell | WildCell], about: Mapping[str, str]) -> None:
        """Make these the planned cells, in this order; what is recorded of them stays. `about` describes them."""
        with self._transaction():
            self._base.execute("UPDATE cells SET planned = 0")
            self._base.executemany(
                "INSERT INTO cells (key, detector, augmentation, data, normal, task, seed, settings, planned, status) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'left') ON CONFLICT (key) DO UPDATE SET planned = excluded.planned",
                [
                    (c.key, c.detector, c.augmentation, c.data, c.normal, c.task, c.seed, json.dumps(c.settings), i)
                    for i, c in enumerate(cells, start=1)
                ],
            )
            self._base.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", list(about.items()))

    def about(self) -> dict[str, str]:
        """Return what `plan` was told about the study."""
        return dict(self._base.execute("SELECT name, value FROM about"))

    def notes(self) -> list[str]:
        """Return sentences on what is to be known of the study besides its records."""
        return [str(each) for each in json.loads(self.about().get("notes", "[]"))]

    def statuses(self) -> dict[str, str]:
        """Return the status of every planned cell by its key."""
        return dict(self._base.execute("SELECT key, status FROM cells WHERE planned ORDER BY planned"))

    def means(self, key: str) -> dict[str, float]:
        """Return the mean of each metric over the tasks of a cell; nothing for one that is not done."""
        return dict(self._base.execute("SELECT metric, avg(value) FROM results WHERE key = ? GROUP BY metric", (key,)))

    def counts(self) -> Counts:
        """Return how many planned cells are done, failed and left."""
        found = dict(self._base.execute("SELECT status, count(*) FROM cells WHERE planned GROUP BY status"))
        return Counts(*(found.get(status, 0) for status in ("done", "failed", "left")))

    def record(self, cell: Cell | WildCell, outcome: Outcome) -> None:
        """Keep the outcome of a cell, all of it or nothing."""
        if outcome.arrays:
            with atomic(self.arrays_of(cell.key)) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, **outcome.arrays)  # type: ignore[arg-type]
        with self._transaction():
            self._base.execute("DELETE FROM results WHERE key = ?", (cell.key,))
            self._base.execute(
                "UPDATE cells SET status = ?, reason = ?, traceback = ?, seconds = ?, finished = ? WHERE key = ?",
                (
                    "failed" if outcome.reason else "done",
                    outcome.reason, outcome.traceback, outcome.seconds,
                    datetime.now(UTC).isoformat(timespec="seconds"), cell.key,
                ),
            )  # fmt: skip
            self._base.executemany(
                "INSERT INTO results VALUES (?, ?, ?, ?, ?)",
                [(cell.key, r.testbed, r.anomaly, r.metric, r.value) for r in outcome.results],
            )

    def arrays_of(self, key: str) -> Path:
        """Return where the arrays of a cell lie."""
        return self.path / "scores" / key[:2] / f"{key}.npz"

    def cells(self) -> pd.DataFrame:
        """Return the planned cells, one row each, with the columns `CELL_COLUMNS` and `task`; that is empty for all."""
        import pandas as pd

        return pd.read_sql_query(
            f"SELECT {', '.join(CELL_COLUMNS)}, task FROM cells WHERE planned ORDER BY planned",  # noqa: S608 our own words
            self._base,
        )

    def keys(self, *, seed: int) -> dict[tuple[str, ...], str]:
        """Return the key of the finished cell by detector, augmentation, data, normal, testbed and anomaly."""
        found = self._base.execute(
            "SELECT DISTINCT detector, augmentation, data, normal, testbed, anomaly, key FROM cells "
            "JOIN results USING (key) WHERE planned AND status = 'done' AND seed = ?",
            (seed,),
        )
        return {tuple(case): str(key) for *case, key in found}

    def tracebacks(self) -> dict[str, str]:
        """Return the traceback of every planned cell that failed, by key."""
        return dict(self._base.execute("SELECT key, traceback FROM cells WHERE planned AND status = 'failed'"))

    def rows(self) -> pd.DataFrame:
        """Return one row per planned cell, task and metric, with the columns `ROW_COLUMNS`; failed cells have one row.

        Cost: about 1 s for 100,000 rows.
        """
        import pandas as pd

        found = pd.read_sql_query(
            "SELECT detector, augmentation, data, testbed, normal, anomaly, seed, metric, value, status FROM cells "
            "LEFT JOIN results USING (key) WHERE planned AND status != 'left' "
            "ORDER BY planned, testbed, anomaly, metric",
            self._base,
        )
        found["task"] = found["data"] + "/" + found["testbed"] + "/" + found["normal"] + "/" + found["anomaly"]
        texts = ["testbed", "anomaly", "metric", "task"]
        found[texts] = found[texts].fillna("")
        return found[list(ROW_COLUMNS)]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn SQLite's ways of saying that the disk is full, or closed to writing, into an OutputError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if any(word in str(error) for word in FULL):
            raise OutputError(
                f"the disk is full: {path} could not be written. What was finished is kept; free some space and run "
                "the same command again."
            ) from error
        if "readonly" in str(error) or "unable to open" in str(error):
            raise OutputError(f"{path} cannot be written: {error}.") from error
        raise
    except PermissionError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
