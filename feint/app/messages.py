"""What the service answers, as pydantic models: the schemas of its OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from feint.app.limits import Limits, Refusal
from feint.records.run import PreprocessingRecord


class Message(BaseModel):
    """Base of all answers: strict keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ScoredImage(Message):
    """One image that was scored."""

    name: str
    score: float = Field(description="higher = more anomalous")
    p_value: float = Field(description="share of normal images that look at least as unusual", gt=0, le=1)
    flagged: bool = Field(description="at the run's false-alarm rate; at its FDR among the images of this request")
    map: str | None = Field(
        default=None, description="with maps=true: grey PNG in base64, as large as the image; 255 clearly unusual"
    )


class UnreadImage(Message):
    """One image that could not be used. It has no `flagged`, so that nobody takes it for an ordinary one."""

    name: str
    reason: str


class Answer(Message):
    """The images of a request, in its order."""

    model: str = Field(description="first 12 digits of the sha256 of the model that scored and flagged them")
    images: list[ScoredImage | UnreadImage]


class Problem(Message):
    """Why a request was refused."""

    reason: str
    images: list[UnreadImage] = Field(default=[], description="the images it was refused for")

    @classmethod
    def of(cls, refusal: Refusal) -> Problem:
        """Return a refusal as it is sent."""
        return cls(reason=refusal.reason, images=[UnreadImage(name=u.name, reason=u.reason) for u in refusal.unread])


class Calibration(Message):
    """Where the p-values come from, and at what rate images are flagged."""

    images: int
    mode: Literal["false_alarm_rate", "fdr"]
    rate: float
    threshold: float | None = Field(description="score above which an image is flagged; null when several models vote")
    guarantee: str


class ModelCard(Message):
    """The model that scores at the moment."""

    sha256: str = Field(description="of its manifest.json, which seals weights, calibration scores and rate")
    created: str
    feint: str = Field(description="version of Feint that made it")
    choice: str
    preprocessing: list[PreprocessingRecord] = Field(description="of each of its members")
    calibration: Calibration
    limits: Limits


class Health(Message):
    """That the service answers, and by which model."""

    status: Literal["ok"] = "ok"
    model: str
