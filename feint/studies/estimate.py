"""What a study is estimated to cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from feint.studies.plan import Arm


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The cells of a plan by arm, its tasks, and about what they cost; `timed` says what was timed to know."""

    name: str
    cells: dict[Arm, int]
    tasks: int
    left_out: list[str]
    seconds: dict[Arm, float]
    workers: int
    disk: float
    timed: str
    notes: Sequence[str] = ()

    def text(self) -> str:
        """Return the estimate in words."""
        cells = sum(self.cells.values())
        total = sum(self.seconds[arm] * count for arm, count in self.cells.items()) / self.workers
        lines = [f"Study {self.name}: {cells:,} cells, {self.tasks:,} tasks."]
        lines += [
            f"  {arm.detector}, {arm.augmentation}, {arm.data}: {count:,} cells of about {self.seconds[arm]:.2g} s"
            for arm, count in self.cells.items()
        ]
        lines += [f"  left out: {each}" for each in self.left_out]
        lines += [f"  note: {each}" for each in self.notes]
        lines.append(
            f"Cost: about {_duration(total)} on {self.workers} workers, from {self.timed}; expect it within a "
            "factor of two."
        )
        lines.append(f"Disk: about {self.disk / 1e6:,.0f} MB.")
        return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
