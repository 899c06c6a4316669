"""Everything one review works with, and how it is shown."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
from filelock import FileLock, Timeout

from feint.app.review.marks import ANOMALOUS, NORMAL, Marks
from feint.app.review.pictures import Pictures
from feint.app.review.refits import Command, Refits, refit_command
from feint.app.review.subject import GONE, Subject
from feint.app.review.thresholds import Thresholds
from feint.app.review.views import Views
from feint.core.errors import OutputError
from feint.core.files import told
from feint.runs.refit_marks import Known
from feint.runs.run import Run

ADDRESS = "address"


@final
@dataclass(frozen=True)
class Card:
    """One image as it is shown; `reason` says why it has no score, `gone` why it has no picture, as far as is known."""

    row: int
    name: str
    score: float | None
    p: float | None
    level: int
    reason: str
    gone: str
    label: int | None


@final
class Desk:
    """One review of one run: its images, thresholds, marks, pictures and refits.

    Args:
        subject: what is reviewed.
        folder: where marks and refits are kept; see `held`.
    """

    def __init__(self, subject: Subject, folder: Path, *, command: Command = refit_command) -> None:
        self.subject = subject
        model = subject.run.model
        self.key = secrets.token_urlsafe(24)
        self.thresholds = Thresholds(
            calibration=_calibration(subject), p=subject.p,
            record=subject.run.record.calibration, what="unlabelled images" if subject.of_run else "images",
            learned=_learned(subject),
        )  # fmt: skip
        self.marks = Marks(folder / "marks.sqlite", images=subject.source)
        self.views = Views(subject, self.thresholds, self.marks)
        self.pictures = Pictures(subject, model)
        self.refits = Refits(subject.run.path, folder, command=command)

    def close(self) -> None:
        """Let go of everything; a refit goes on."""
        self.pictures.close()
        self.marks.close()

    def card(self, row: int) -> Card:
        """Return the image of a row."""
        subject = self.subject
        name, reason = subject.names[row], subject.reasons.get(row, "")
        scored = not reason
        return Card(
            row=row,
            name=name,
            score=float(subject.score[row]) if scored else None,
            p=float(subject.p[row]) if scored else None,
            level=int(self.thresholds.levels[row]),
            reason=reason,
            gone=reason or (GONE if subject.items[row] is None else ""),
            label=self.marks.label(name),
        )

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each image, by its name."""
        return {name: row for row, name in enumerate(self.subject.names)}

    def tally(self) -> tuple[int, int]:
        """Return how many images are marked anomalous and normal."""
        counts = Counter(self.marks.now().values())
        return counts[ANOMALOUS], counts[NORMAL]


def _calibration(subject: Subject) -> np.ndarray | None:
    """Return the calibration scores that all images were compared with; None where there are several sets of them.

    Each fold of the unlabelled images has its own where a voter learned from them, as each of several models has.
    """
    model, of_run = subject.run.model, subject.of_run
    if len(model.members) > 1 or (of_run and model.members[0].voters.folds > 1):
        return None
    return model.calibration_scores


def _learned(subject: Subject) -> np.ndarray | None:
    """Return from which images (m,) a refit has learned, their copies included; None where it is no refit's own."""
    if not subject.of_run or subject.run.refitted is None:
        return None
    known = Known.of(subject.run)
    learned = known.alike(known.learned)
    return np.array([name in learned for name in subject.names], dtype=bool)


@contextmanager
def held(run: Run) -> Iterator[Path]:
    """Yield the folder beside a run that holds its marks and refits, RUN.review, for this process alone.

    Raises: OutputError where another process reviews the run, or the folder cannot be written.
    """
    folder = Path(f"{run.path.resolve()}.review")
    try:
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        address = folder / ADDRESS
        where = f" on {address.read_text(encoding='utf-8')}" if address.is_file() else ""
        raise OutputError(
            f"{run.path} is being reviewed already{where}: use that page, several people may, or stop it first."
        ) from error
    except OSError as error:
        raise told(error, folder) from error
    try:
        yield folder
    finally:
        (folder / ADDRESS).unlink(missing_ok=True)
        lock.release()
