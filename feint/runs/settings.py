"""What a user may set, and what each budget buys. Budgets count steps, never seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

BudgetName = Literal["quick", "standard", "thorough"]
DEFAULT_RATE = 0.05


class TuneSettings(BaseModel):
    """Settings of one run; strict: an unknown key or an impossible value is an error.

    Args:
        seed: of every random stream. budget: how many steps are spent. image_size: sqrt of the pixels an image is
            resized to; None tries the sizes of the budget. false_alarm_rate: largest share of normal images flagged,
            in (0, 1); None is 5 %, or the smallest rate that the calibration normals support. fdr: false discovery
            rate in (0, 1) instead. augmentations: names from the catalogue. nuisances: changes that must not count.
        device: "cpu" or "cuda".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, ge=0)
    budget: BudgetName = "standard"
    image_size: int | None = Field(default=None, ge=16, le=512)
    false_alarm_rate: float | None = Field(default=None, gt=0, lt=1)
    fdr: float | None = Field(default=None, gt=0, lt=1)
    augmentations: tuple[str, ...] = ("cutdiff", "rotation", "cutout", "cutpaste")
    nuisances: tuple[str, ...] = ()
    device: str = "cpu"

    @field_validator("augmentations", "nuisances")
    @classmethod
    def _known(cls, names: tuple[str, ...], info: object) -> tuple[str, ...]:
        from feint.augmentations import AUGMENTATIONS, NUISANCES

        field = getattr(info, "field_name", "")
        catalogue = AUGMENTATIONS if field == "augmentations" else NUISANCES
        for name in names:
            if name not in catalogue:
                raise ValueError(f"{name!r} is not one of {', '.join(catalogue)}")
        return tuple(dict.fromkeys(names))

    @model_validator(mode="after")
    def _one_rate(self) -> TuneSettings:
        if self.false_alarm_rate is not None and self.fdr is not None:
            raise ValueError("give a false-alarm rate or a false discovery rate, not both")
        return self


@dataclass(frozen=True, kw_only=True)
class Round:
    """Trainings of one kind: image size in px (square root of the pixels), width of the encoder, optimiser steps."""

    px: int
    width: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What is spent. Every candidate is trained in the first round; each later one repeats the `finalists` best."""

    tuning_px: int
    warm_start: int
    updates: int
    rounds: tuple[Round, ...]
    finalists: int

    def at(self, image_size: int | None) -> Budget:
        """Return this budget with every round at the image size the user named."""
        if image_size is None:
            return self
        rounds = tuple(dict.fromkeys(replace(each, px=image_size) for each in self.rounds))
        return replace(self, rounds=rounds, tuning_px=min(self.tuning_px, image_size))

    def shared_by(self, rotations: int) -> Budget:
        """Return this budget with the steps divided among the rotations of cross-fitting; no less than a third."""
        share = max(1 / 3, 1 / rotations)
        return replace(
            self,
            warm_start=round(self.warm_start * share),
            updates=round(self.updates * share),
            rounds=tuple(replace(each, steps=round(each.steps * share)) for each in self.rounds),
        )

    @property
    def sizes(self) -> list[int]:
        """Every px at which images are needed, without repeats."""
        return list(dict.fromkeys([self.tuning_px, *(each.px for each in self.rounds)]))


BUDGETS: dict[BudgetName, Budget] = {
    "quick": Budget(tuning_px=32, warm_start=40, updates=40, rounds=(Round(px=64, width=16, steps=200),), finalists=0),
    "standard": Budget(
        tuning_px=40,
        warm_start=60,
        updates=80,
        rounds=(Round(px=64, width=16, steps=400), Round(px=64, width=32, steps=600)),
        finalists=2,
    ),
    "thorough": Budget(
        tuning_px=64,
        warm_start=100,
        updates=200,
        rounds=(
            Round(px=64, width=16, steps=800),
            Round(px=64, width=32, steps=2000),
            Round(px=128, width=32, steps=1500),
        ),
        finalists=3,
    ),
}
