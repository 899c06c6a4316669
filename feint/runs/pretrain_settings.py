"""What a user may set of a pretraining."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from feint.augmentations.views import views_named
from feint.core.pretraining import Method
from feint.networks.architectures import TRANSFORMERS, patch_of
from feint.pretraining import METHODS
from feint.pretraining.optimisation import Optimisation, usual
from feint.pretraining.training import Precision
from feint.runs.settings import device_there

DEFAULT_VIEWS = "defect"
MASKED_VIEWS = "mae"
ANY_SIZE = (64, 64)


class PretrainSettings(BaseModel):
    """Settings of one pretraining; strict: an unknown key or an impossible value is an error.

    Args:
        method: of `feint.pretraining.METHODS`. encoder: of `feint.networks.architectures.ARCHITECTURES`.
        views: a preset or a composition, see `feint.augmentations.views`; None: "defect", or "mae" for MAE.
        image_size: square root of the pixels an image is resized to. steps: how many. batch: images a step, over all
            processes. rate, weight_decay: of the optimiser; None: the encoder's usual ones. seed: of every stream.
        precision: "bf16" computes in half precision where torch's autocast does. device: "cpu" or "cuda".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = "simclr"
    encoder: str = "resnet8"
    views: str | None = None
    image_size: int = Field(default=64, ge=16, le=512)
    steps: int = Field(default=1000, ge=1)
    batch: int = 64
    rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    weight_decay: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    seed: int = Field(default=0, ge=0)
    precision: Precision = "fp32"
    device: str = "cpu"

    @field_validator("method")
    @classmethod
    def _a_method(cls, method: str) -> str:
        if method not in METHODS:
            near = get_close_matches(method, METHODS, n=1)
            hint = f"did you mean {near[0]}? Choose" if near else "choose"
            raise ValueError(f"there is no such method: {hint} from {', '.join(METHODS)}")
        return method

    @field_validator("encoder")
    @classmethod
    def _an_encoder(cls, encoder: str) -> str:
        patch_of(encoder, ANY_SIZE)
        return encoder

    @field_validator("views")
    @classmethod
    def _some_views(cls, views: str | None) -> str | None:
        if views is not None:
            views_named(views)
        return views

    @field_validator("batch")
    @classmethod
    def _not_alone(cls, batch: int) -> int:
        if batch < 2:
            raise ValueError("a batch needs at least 2 images, as each is compared with the others")
        return batch

    @field_validator("device")
    @classmethod
    def _there(cls, device: str) -> str:
        return device_there(device)

    @model_validator(mode="after")
    def _go_together(self) -> PretrainSettings:
        if self.recipe.transformers_only and self.encoder.partition("/")[0] not in TRANSFORMERS:
            raise ValueError(
                f"{self.method} is not applicable to {self.encoder}: it hides patches, and needs an encoder of patch "
                f"tokens. Take {' or '.join(TRANSFORMERS)}"
            )
        return self

    @property
    def recipe(self) -> Method:
        """The method with its usual hyperparameters."""
        return METHODS[self.method]()

    @property
    def chosen_views(self) -> str:
        """The views by name."""
        return self.views or (MASKED_VIEWS if self.recipe.transformers_only else DEFAULT_VIEWS)

    @property
    def readout(self) -> Literal["both", "mean"]:
        """Which tokens of a transformer embed: a method that hides patches trains no token of the whole image."""
        return "mean" if self.recipe.transformers_only else "both"

    def optimisation(self, batch: int) -> Optimisation:
        """Return the encoder's usual optimisation for `batch` images a step, with what was set otherwise."""
        found = usual(self.encoder, batch=batch)
        return replace(
            found,
            rate=found.rate if self.rate is None else self.rate,
            weight_decay=found.weight_decay if self.weight_decay is None else self.weight_decay,
        )
