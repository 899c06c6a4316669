"""Templates filled with what the desk holds."""

from __future__ import annotations

import secrets
import shlex
from functools import cached_property
from pathlib import Path
from typing import Literal, final

from markupsafe import Markup

from feint.app.review.comparison import Comparison, compare
from feint.app.review.desk import Desk
from feint.app.review.views import AT_ONCE, SORTS, View
from feint.core.errors import FeintError
from feint.report.environment import environment
from feint.report.images import legend

HERE = Path(__file__).parent / "templates"
FEWEST_ANOMALOUS = 3
Of = Literal["card", "zoom"]


@final
class Showing:
    """The pages of one review, and their pieces, as HTML; all that comes from files or people is escaped."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._series = secrets.token_urlsafe(9)
        self._compared: dict[int, Comparison] = {}

    def page(self, view: View) -> Markup:
        """Return the whole page with the list that a view shows."""
        return self._fill("page.html", **self._of_view(view))

    def listed(self, view: View) -> Markup:
        """Return the list alone."""
        return self._fill("list.html", **self._of_view(view))

    def chunk(self, view: View, first: int) -> Markup:
        """Return 60 cards of a view, from number `first` on."""
        return self._fill("chunk.html", **self._of_chunk(view, first))

    def zoom(self, view: View, at: int) -> Markup:
        """Return the large view of number `at` of a view."""
        rows = self._desk.views.rows(view)
        if not len(rows):
            return Markup("")
        at = min(at, len(rows) - 1)
        card = self._desk.card(int(rows[at]))
        return self._fill("zoom.html", card=card, at=at, total=len(rows), view=view)

    def verdict(self, row: int, of: Of) -> Markup:
        """Return what stands below an image, in its card or in the large view."""
        return self._fill("below.html", card=self._desk.card(row), of=of)

    def threshold(self, level: int) -> Markup:
        """Return what a threshold means, in words."""
        return self._fill("threshold.html", **self._of_threshold(level))

    def tally(self, *, said: str = "") -> Markup:
        """Return the counts of marks, to be put in place whatever else is answered, and what happened."""
        return self._fill("tally.html", **self._of_marks(), said=said, in_place=True)

    def refit(self) -> Markup:
        """Return the page of the refit."""
        return self._fill("refit.html", **self._of_refit())

    def refit_progress(self) -> Markup | None:
        """Return how far the refit is; None where none is running."""
        last = self._desk.refits.last()
        return self._fill("refit_progress.html", progress=last) if last and last.state == "running" else None

    def refit_state(self, *, problem: str = "") -> Markup:
        """Return how the refit is doing, and in the end what it changed, or why none could begin."""
        return self._fill("refit_state.html", **self._of_refit(problem))

    def door(self, wrong: bool) -> str:
        """Return the page that asks for the token."""
        return self._fill("door.html", wrong=wrong)

    def error(self, sentence: str, *, back: bool) -> Markup:
        """Return a page that says what went wrong."""
        return self._fill("error.html", sentence=sentence, back=back)

    def _of_view(self, view: View) -> dict[str, object]:
        total = len(self._desk.views.rows(view))
        thresholds = self._desk.thresholds
        return {
            **self._of_chunk(view, 0), **self._of_threshold(view.level), **self._of_marks(),
            "ahead": range(AT_ONCE, total, AT_ONCE), "sorts": SORTS, "steps": thresholds.steps,
            "step": thresholds.steps.index(thresholds.nearest(view.level)), "said": "", "in_place": False,
            "colours": legend(), "unread": len(self._desk.subject.reasons),
        }  # fmt: skip

    def _of_chunk(self, view: View, first: int) -> dict[str, object]:
        rows = self._desk.views.rows(view)
        cards = [self._desk.card(int(row)) for row in rows[first : first + AT_ONCE]]
        return {"cards": cards, "first": first, "total": len(rows), "view": view}

    def _of_threshold(self, level: int) -> dict[str, object]:
        run = self._desk.subject.run
        thresholds = self._desk.thresholds
        out = f"{run.path}-at-{thresholds.rate(level)}" if level else ""
        command = thresholds.command(level, of_run=run.record.command, out=out)
        return {"thresholds": thresholds, "level": level, "command": command}

    def _of_marks(self) -> dict[str, object]:
        anomalous, normal = self._desk.tally()
        last = self._desk.refits.last()
        can_refit = self._desk.subject.of_run and anomalous >= FEWEST_ANOMALOUS
        return {
            "anomalous": anomalous, "normal": normal, "can_refit": can_refit, "of_run": self._desk.subject.of_run,
            "fewest": FEWEST_ANOMALOUS, "progress": last, "running": last is not None and last.state == "running",
        }  # fmt: skip

    def _of_refit(self, problem: str = "") -> dict[str, object]:
        marks, comparison, review = self._of_marks(), None, ""
        progress = self._desk.refits.last()
        if progress is not None and progress.state == "done":
            out = progress.ticket.out
            review = shlex.join(["feint", "review", str(out)])
            try:
                number = progress.ticket.number
                if number not in self._compared:
                    self._compared[number] = compare(self._desk.subject, out)
                comparison = self._compared[number]
            except FeintError as error:
                problem = str(error)
        return {
            **marks, "progress": progress, "comparison": comparison, "problem": problem, "review": review
        }  # fmt: skip

    @cached_property
    def _common(self) -> dict[str, object]:
        subject = self._desk.subject
        return {
            "key": self._desk.key, "series": self._series, "subject": subject, "run": subject.run.record,
            "colour": subject.run.record.preprocessing.channels == 3,
        }  # fmt: skip

    def _fill(self, template: str, **content: object) -> Markup:
        return Markup(environment(HERE).get_template(template).render(**self._common, **content))  # noqa: S704 escaped there
