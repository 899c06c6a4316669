"""What people say of images: each mark is on disk before it is shown, and every one can be undone."""

from __future__ import annotations

import csv
import datetime
import io
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import final

from feint.core.errors import IntegrityError

NORMAL, ANOMALOUS = 0, 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, images TEXT NOT NULL, path TEXT NOT NULL, before INTEGER, after INTEGER,
    undoes INTEGER REFERENCES events(id), at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_path ON events (images, path, id);
"""
STATE = """
SELECT path, after FROM events
WHERE id IN (SELECT max(id) FROM events WHERE images = ? AND id <= ? GROUP BY path) AND after IS NOT NULL
"""
LAST = """
SELECT id, path, before FROM events WHERE images = ? AND undoes IS NULL
AND id NOT IN (SELECT undoes FROM events WHERE undoes IS NOT NULL) ORDER BY id DESC LIMIT 1
"""


@dataclass(frozen=True)
class Undone:
    """A mark that was taken back: the image, and the label it has again."""

    path: str
    label: int | None


@final
class Marks:
    """The marks of one set of images: label 0 (normal) or 1 (anomalous) by path.

    Nothing is ever overwritten: marking and undoing append a row, so that the marks of any earlier moment are known.

    Args:
        file: the SQLite database; made where there is none. One process writes it.
        images: the set of images; several share a database.

    Raises: IntegrityError where the file is no such database.
    """

    def __init__(self, file: Path, *, images: str) -> None:
        self._images = images
        self._lock = threading.Lock()
        self._base = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        try:
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            self._base.executescript(SCHEMA)
            self.moment = int(self._base.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0])
            self._now = self.at(self.moment)
        except sqlite3.DatabaseError as error:
            self._base.close()
            raise IntegrityError(f"{file} holds no marks: {error}. Move it away to begin anew.") from error

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._base.close()

    def label(self, path: str) -> int | None:
        """Return the label of an image, None where it has none."""
        return self._now.get(path)

    def now(self) -> dict[str, int]:
        """Return all labels by path."""
        with self._lock:
            return dict(self._now)

    def at(self, moment: int) -> dict[str, int]:
        """Return all labels by path as they were after event number `moment`."""
        return dict(self._base.execute(STATE, (self._images, moment)).fetchall())

    def mark(self, path: str, label: int | None) -> None:
        """Give an image a label, or take it away with None; on disk when this returns."""
        with self._lock:
            if label != self._now.get(path):
                self._append(path, label, undoes=None)

    def undo(self) -> Undone | None:
        """Take back the last mark that was not taken back yet; None where there is none."""
        with self._lock:
            last = self._base.execute(LAST, (self._images,)).fetchone()
            if last is None:
                return None
            self._append(last[1], last[2], undoes=last[0])
            return Undone(last[1], last[2])

    def csv(self) -> str:
        """Return the marks as `feint evaluate` and `feint refit` read them: path,label."""
        file = io.StringIO()
        rows = sorted(self.now().items())
        odd = any("\r" in path for path, _ in rows)  # a carriage return needs quotes, and gets none by itself
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC if odd else csv.QUOTE_MINIMAL)
        writer.writerow(["path", "label"])
        writer.writerows(rows)
        return file.getvalue()

    def _append(self, path: str, label: int | None, *, undoes: int | None) -> None:
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        row = (self._images, path, self._now.get(path), label, undoes, at)
        added = self._base.execute(
            "INSERT INTO events (images, path, before, after, undoes, at) VALUES (?, ?, ?, ?, ?, ?)", row
        )
        self.moment = int(added.lastrowid or 0)
        if label is None:
            self._now.pop(path, None)
        else:
            self._now[path] = label
