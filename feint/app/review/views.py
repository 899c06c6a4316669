"""Which images a view shows, and in what order: fixed when it was opened, so that marking moves nothing."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, final
from urllib.parse import urlencode

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from feint.app.review.marks import ANOMALOUS, NORMAL, Marks
from feint.app.review.subject import Subject
from feint.app.review.thresholds import Thresholds

AT_ONCE = 60
VIEWS_KEPT = 16
Show = Literal["all", "flagged", "unmarked", "anomalous", "normal", "unread"]
Sort = Literal["anomalous", "ordinary", "threshold", "path"]
SORTS: dict[Sort, str] = {
    "anomalous": "Most anomalous first", "ordinary": "Most ordinary first",
    "threshold": "Nearest the threshold first", "path": "By file name",
}  # fmt: skip


@final
class View(BaseModel):
    """A choice of images: `level` is that of the threshold, `moment` says by which marks it was made; -1: today's."""

    model_config = ConfigDict(frozen=True)

    show: Show = "all"
    sort: Sort = "anomalous"
    find: str = Field(default="", max_length=1000)
    level: int = Field(default=-1, ge=-1)
    moment: int = Field(default=-1, ge=-1)

    @property
    def query(self) -> str:
        """Return it as the query of an address."""
        return urlencode(self.model_dump())

    @property
    def kept_query(self) -> str:
        """Return the query of an address to come back to, when other images may be marked."""
        return urlencode(self.model_dump(exclude={"moment"}))


@final
class Views:
    """Finds the rows of views; the last 16 are kept."""

    def __init__(self, subject: Subject, thresholds: Thresholds, marks: Marks) -> None:
        self._subject, self._thresholds, self._marks = subject, thresholds, marks
        self._lowered = [name.casefold() for name in subject.names]
        self.rows = lru_cache(VIEWS_KEPT)(self._rows)

    def current(self, view: View) -> View:
        """Return the view by today's marks; its level is one that the calibration images tell apart."""
        n = self._thresholds.n
        level = self._thresholds.own if view.level < 0 else min(view.level, n)
        return view.model_copy(update={"level": level, "moment": self._marks.moment})

    def _rows(self, view: View) -> np.ndarray:
        """Return the rows (k,) of the images that a view shows, in its order."""
        shown = self._shown(view)
        if view.find:
            wanted = view.find.casefold()
            shown &= np.fromiter((wanted in name for name in self._lowered), bool, len(self._subject))
        order = self._order(view)
        found: np.ndarray = order[shown[order]]
        return found

    def _shown(self, view: View) -> np.ndarray:
        subject, levels = self._subject, self._thresholds.levels
        if view.show == "all":
            return np.ones(len(subject), bool)
        if view.show == "flagged":
            return np.asarray(levels <= view.level)
        if view.show == "unread":
            return np.asarray(np.isnan(subject.p))
        label = self._marks.at(view.moment)
        wanted = {"unmarked": None, "anomalous": ANOMALOUS, "normal": NORMAL}[view.show]
        return np.fromiter((label.get(name) == wanted for name in subject.names), bool, len(subject))

    def _order(self, view: View) -> np.ndarray:
        """Return all rows in the order of the view; what has no score comes last."""
        subject = self._subject
        if view.sort == "path":
            return np.array(sorted(range(len(subject)), key=subject.names.__getitem__), np.intp)
        p, score = np.nan_to_num(subject.p, nan=2), np.nan_to_num(subject.score, nan=-np.inf)
        if view.sort == "anomalous":
            return np.lexsort((-score, p))
        unread = ~np.isfinite(subject.p)
        if view.sort == "ordinary":
            return np.lexsort((score, -p, unread))
        return np.lexsort((-score, np.abs(self._thresholds.levels - view.level - 0.5), unread))
