"""What an assessment without labels has found: the schema of assessment.json and of `feint assess --json`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from feint.records.run import Record, Skipped, WarningRecord


class MetricValues(Record):
    """The label-free metrics of one matrix of embeddings; None where undefined, `details` says why.

    Each is the function of this name in `feint.metrics.representations`, those on pseudo-anomalies in
    `feint.embeddings.pseudo`.
    """

    rankme: float | None = None
    rankme_centred: float | None = None
    eig_rank: float | None = None
    alpha_req: float | None = None
    nesum: float | None = None
    stable_rank: float | None = None
    pseudo_condition: float | None = None
    coherence: float | None = None
    coherence_p99: float | None = None
    self_cluster: float | None = None
    lidar: float | None = None
    alignment: float | None = None
    uniformity: float | None = None
    cluster_learnability: float | None = None
    intrinsic_dimension: float | None = Field(default=None, description="by the two nearest neighbours")
    clid: float | None = Field(default=None, description="relative to the others of this assessment")
    std_of_l2: float | None = None
    pseudo_probe: float | None = Field(default=None, description="AUROC against a mixture of pseudo-anomalies")
    pseudo_probe_cutpaste: float | None = Field(default=None, description="AUROC against CutPaste pseudo-anomalies")


class MetricRecord(Record):
    """What is needed to read one metric."""

    n: int = Field(description="images; for LiDAR those of which several views were made")
    d: int = Field(description="features")
    centring: Literal["none", "mean", "class means"]
    eps: float | None = Field(description="added to each share inside an entropy; None where there is none")
    direction: Literal["up", "down", "near 1", "none"] = Field(description="what is claimed to be better")
    dtype: str = Field(description="of the embeddings; everything is computed in float64")
    numbers: dict[str, float] = Field(description="that go with the value: R^2 and ranks of a fit, sizes of samples")
    note: str


class CheckpointRecord(Record):
    """What was found at one checkpoint; every metric is None where the embeddings are not finite."""

    step: int
    encoder: MetricValues
    projector: MetricValues | None = Field(description="None: the method has none")
    alarms: list[WarningRecord] = Field(description="of collapse, by the encoder, the projector and the loss")


class KeepRecord(Record):
    """Which checkpoint is worth keeping."""

    step: int | None = Field(description="None: every one raises an alarm")
    why: str


class AssessmentRecord(MetricValues):
    """How good a pretraining's representation is, without labels; the metrics are the encoder's at the last step."""

    run: str
    method: str
    architecture: str
    projector: MetricValues | None = Field(description="at the last step; None: the method has none")
    untrained: MetricValues = Field(description="of the encoder before the first step")
    checkpoints: list[CheckpointRecord]
    keep: KeepRecord
    alarms: list[WarningRecord] = Field(description="of the last checkpoint")
    details: dict[str, MetricRecord] = Field(
        description="of the encoder's metrics by their name, of the projector's by NAME@projector, each at the last "
        "checkpoint whose embeddings are finite"
    )
    notes: list[str] = Field(description="how to read the numbers")
    images: int = Field(description="readable images that were used")
    given: int = Field(description="images that were given; above a limit evenly spaced ones are used")
    skipped: list[Skipped]
    views: str = Field(description="what made the views of LiDAR and alignment")
    seed: int
    version: str
