"""The side of `feint score` that writes a folder of part files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from feint.cli.terminal import StatusLine, duration, say

if TYPE_CHECKING:
    from feint.runs.bulk import Progress


class BulkBackend(StrEnum):
    """Where a bulk job is computed."""

    serial = "serial"
    processes = "processes"
    ray = "ray"


@dataclass(frozen=True)
class Bulk:
    """The options of a bulk job."""

    column: str | None
    backend: BulkBackend
    workers: int | None
    address: str | None

    def run(self, model: Path, source: str, out: Path) -> dict[str, int]:
        """Carry it out, say what was found, and return the counts."""
        from feint.core.errors import StoppedError
        from feint.export.api import score_in_bulk

        try:
            with _Line() as tell:
                found = score_in_bulk(
                    model, source, out=out, column=self.column, backend=self.backend.value, workers=self.workers,
                    address=self.address, tell=tell,
                )  # fmt: skip
        except KeyboardInterrupt:
            kept = f" What is finished is kept in {out}: the same command goes on from there." if out.exists() else ""
            raise StoppedError(f"stopped.{kept}") from None
        if found.drift:
            say(f"Warning: {found.drift}")
        unread = f" {found.unreadable:,} could not be read: column reason says why." if found.unreadable else ""
        scored = found.images - found.unreadable
        say(f"{found.flagged:,} of {scored:,} images flagged in {found.seconds:,.0f} s.{unread} Scores: {out}")
        return {"images": found.images, "flagged": found.flagged, "unreadable": found.unreadable}


class _Line(StatusLine):
    """Says how far a bulk job is."""

    def __call__(self, progress: Progress) -> None:
        line = f"{progress.done:,} of {progress.total:,} images"
        last = progress.done == progress.total
        if math.isfinite(progress.per_second):
            line += f"; {progress.per_second:,.0f} a second"
            line += "" if last else f", {duration(progress.seconds_left)} to go"
        self.show(line, last=last)
