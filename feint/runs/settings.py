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

    @field_validator("device")
    @classmethod
    def _there(cls, device: str) -> str:
        import torch

        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise ValueError(f"torch cannot compute on it: {reason}. 'cpu' always works") from error
        return device

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
    """What is spent.

    `screening`: short trainings at every start of every augmentation; the `kept` best of each are tuned, with
    `warm_start` steps of the detector and `updates` of the magnitudes. `rounds`: every candidate is trained in the
    first one; each later one repeats the `finalists` best. `final_steps` train the chosen detector once more, on all
    normal images but those of calibration.
    """

    screening: Round
    kept: int
    warm_start: int
    updates: int
    rounds: tuple[Round, ...]
    finalists: int
    final_steps: int

    def at(self, image_size: int | None) -> Budget:
        """Return this budget with every round at the image size the user named."""
        if image_size is None:
            return self
        rounds = tuple(dict.fromkeys(replace(each, px=image_size) for each in self.rounds))
        return replace(self, rounds=rounds, screening=replace(self.screening, px=min(self.screening.px, image_size)))

    def shared_by(self, rotations: int) -> Budget:
        """Return this budget with the steps divided among the rotations of cross-fitting; no less than a third."""
        share = max(1 / 3, 1 / rotations)
        return replace(
            self,
            screening=replace(self.screening, steps=round(self.screening.steps * share)),
            warm_start=round(self.warm_start * share),
            updates=round(self.updates * share),
            rounds=tuple(replace(each, steps=round(each.steps * share)) for each in self.rounds),
            final_steps=round(self.final_steps * share),
        )

    @property
    def sizes(self) -> list[int]:
        """Every px at which images are needed, without repeats."""
        return list(dict.fromkeys([self.screening.px, *(each.px for each in self.rounds)]))


BUDGETS: dict[BudgetName, Budget] = {
    "quick": Budget(
        screening=Round(px=32, width=16, steps=80),
        kept=2,
        warm_start=40,
        updates=30,
        rounds=(Round(px=64, width=16, steps=200),),
        finalists=0,
        final_steps=400,
    ),
    "standard": Budget(
        screening=Round(px=40, width=16, steps=120),
        kept=2,
        warm_start=60,
        updates=60,
        rounds=(Round(px=64, width=16, steps=400),),
        finalists=0,
        final_steps=700,
    ),
    "thorough": Budget(
        screening=Round(px=64, width=16, steps=300),
        kept=4,
        warm_start=100,
        updates=200,
        rounds=(
            Round(px=64, width=16, steps=1000),
            Round(px=128, width=16, steps=1000),
            Round(px=64, width=32, steps=1500),
        ),
        finalists=3,
        final_steps=2500,
    ),
}
