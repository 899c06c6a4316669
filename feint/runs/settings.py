"""What a user may set, and what each budget buys. Budgets count steps, never seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from feint.core.errors import FeintError

BudgetName = Literal["quick", "standard", "thorough"]
DEFAULT_RATE = 0.05


class TuneSettings(BaseModel):
    """Settings of one run; strict: an unknown key or an impossible value is an error.

    Args:
        seed: of every random stream. budget: how many steps are spent. image_size: sqrt of the pixels an image is
            resized to; None tries the sizes of the budget. false_alarm_rate: largest share of normal images flagged,
            in (0, 1); None is 5 %, or the smallest rate that the calibration normals support. fdr: false discovery
            rate in (0, 1) instead. augmentations: those to search, by their names in the catalogue; None: those of
            the budget. nuisances: changes that must not count as anomalies. single: one candidate is the answer, the
            best of those that would vote. encoder: weights from which further candidates start, see `runs.pretrained`.
        device: "cpu" or "cuda".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, ge=0)
    budget: BudgetName = "standard"
    image_size: int | None = Field(default=None, ge=16, le=512)
    false_alarm_rate: float | None = Field(default=None, gt=0, lt=1)
    fdr: float | None = Field(default=None, gt=0, lt=1)
    augmentations: tuple[str, ...] | None = None
    nuisances: tuple[str, ...] = ()
    single: bool = False
    encoder: str | None = None
    device: str = "cpu"

    @field_validator("augmentations", "nuisances")
    @classmethod
    def _known(cls, names: tuple[str, ...] | None, info: object) -> tuple[str, ...] | None:
        from feint.augmentations import AUGMENTATIONS, NUISANCES

        if names is None:
            return None
        field = getattr(info, "field_name", "")
        catalogue = AUGMENTATIONS if field == "augmentations" else NUISANCES
        for name in names:
            if name not in catalogue:
                raise ValueError(f"{name!r} is not one of {', '.join(catalogue)}")
        if not names and field == "augmentations":
            raise ValueError("name at least one")
        return tuple(dict.fromkeys(names))

    @field_validator("encoder")
    @classmethod
    def _pretrained(cls, encoder: str | None) -> str | None:
        from feint.runs.pretrained import start_from

        try:
            if encoder is not None:
                start_from(encoder)
        except FeintError as error:
            raise ValueError(str(error).rstrip(".")) from error
        return encoder

    @field_validator("device")
    @classmethod
    def _there(cls, device: str) -> str:
        return device_there(device)

    def families(self, budget: Budget) -> tuple[str, ...]:
        """Return the augmentations whose magnitudes are searched."""
        return self.augmentations or budget.families

    @model_validator(mode="after")
    def _one_rate(self) -> TuneSettings:
        if self.false_alarm_rate is not None and self.fdr is not None:
            raise ValueError("give a false-alarm rate or a false discovery rate, not both")
        return self


def device_there(device: str) -> str:
    """Return the name of a device that torch can compute on; raises ValueError for any other."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(f"torch cannot compute on it: {reason}. 'cpu' always works") from error
    return device


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What is spent.

    `sizes`: px (square root of the pixels) at which candidates are tried; larger than the images, they are not.
    `tiles`: into how many tiles a side large images are cut, each of about the smallest size, for one candidate.
    `families`: augmentations whose magnitudes are searched, each on a landscape trained for `landscape_steps` and
    measured at `points` settings (half as many, where there is one magnitude). Every candidate is then trained for
    `steps`, and the chosen ones for `final_steps`, on all normal images but those of calibration.
    """

    sizes: tuple[int, ...]
    tiles: int
    families: tuple[str, ...]
    width: int
    landscape_steps: int
    points: int
    steps: int
    final_steps: int

    def at(self, image_size: int | None, *, largest: int) -> Budget:
        """Return this budget at the one image size the user named, or at those that images of side `largest` have."""
        sizes = (image_size,) if image_size else tuple(px for px in self.sizes if px <= largest) or self.sizes[:1]
        return replace(self, sizes=sizes, tiles=self.tiles if sizes[0] * self.tiles <= largest else 1)

    @property
    def decoded(self) -> list[int]:
        """Every px at which images are needed, without repeats."""
        return list(dict.fromkeys([*self.sizes, self.sizes[0] * self.tiles]))

    def shared_by(self, rotations: int) -> Budget:
        """Return this budget with the steps divided among the rotations of cross-fitting; no less than a third."""
        share = max(1 / 3, 1 / rotations)
        return replace(
            self,
            landscape_steps=round(self.landscape_steps * share),
            points=max(4, round(self.points * share)),
            steps=round(self.steps * share),
            final_steps=round(self.final_steps * share),
        )


FAMILIES = ("cutdiff", "rotation", "cutpaste", "noise", "blur", "color")

BUDGETS: dict[BudgetName, Budget] = {
    "quick": Budget(
        sizes=(64,),
        tiles=1,
        families=("cutdiff", "rotation"),
        width=16,
        landscape_steps=100,
        points=8,
        steps=120,
        final_steps=200,
    ),
    "standard": Budget(
        sizes=(64,), tiles=2, families=FAMILIES, width=16, landscape_steps=400, points=16, steps=600, final_steps=700
    ),
    "thorough": Budget(
        sizes=(64, 128),
        tiles=2,
        families=FAMILIES,
        width=16,
        landscape_steps=1500,
        points=48,
        steps=1200,
        final_steps=2500,
    ),
}
