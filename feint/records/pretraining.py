"""What a pretraining has been and has left, as it is saved beside its weights: plain data, no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from feint.records.run import ImagesRecord, PreprocessingRecord, WarningRecord


class PretrainingRecord(BaseModel):
    """One pretraining: `pretraining.json` beside `encoder.safetensors` in its folder.

    encoder: an architecture's name, see `feint.networks.architectures`. readout: which tokens of a transformer embed.
    method: of `feint.pretraining.METHODS`. views: the presets or augmentations of the views.
    steps_done: less than `steps` while it runs; checkpoints: the steps of which one is kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    encoder: str
    readout: Literal["both", "mean"]
    channels: int
    preprocessing: PreprocessingRecord
    images: ImagesRecord
    views: str
    steps: int
    batch: int
    rate: float
    weight_decay: float
    seed: int
    precision: Literal["fp32", "bf16"]
    device: str
    steps_done: int
    checkpoints: list[int]
    loss: float
    images_per_second: float
    warnings: list[WarningRecord]
    version: str
