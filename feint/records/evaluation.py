"""The record of one look at labels: the schema of evaluation.json."""

from __future__ import annotations

from pydantic import Field

from feint.records.run import Estimate, Record


class CandidateAuroc(Record):
    """What a candidate's criterion promised, and what labels say."""

    name: str
    criterion: float | None = Field(description="two-sample AUROC, without labels; None where the candidate failed")
    auroc: float | None
    chosen: bool


class LandscapeAuroc(Record):
    """The AUROC at each of the points of a landscape, in the order of its record."""

    augmentation: str
    size: tuple[int, int]
    auroc: list[float]


class EvaluationRecord(Record):
    """How well a run did against labels, each number with its 95 % interval.

    Those of the two rates are exact (Clopper and Pearson), the others are of a stratified bootstrap.
    """

    labels: str = Field(description="where the labels came from")
    normal: int = Field(description="images so labelled that the numbers are of")
    anomalous: int
    unfitted: int = Field(default=0, description="labels that fit no image")
    by_file_name: int = Field(default=0, description="labels that fit by the file name alone; their folders differ")
    learned_from: int = Field(default=0, description="labelled images left out, since a refit has learned from them")
    unlabelled: int = Field(default=0, description="images that have no label")
    auroc: Estimate
    average_precision: Estimate
    f1: Estimate = Field(description="of the flagged images, at the run's threshold")
    false_alarm_rate: Estimate = Field(description="share of the normal images flagged")
    detection_rate: Estimate = Field(description="share of the anomalous images flagged")
    label_reads: int = Field(description="how often labels of this run have been opened, this time included")
    candidates: list[CandidateAuroc] = Field(
        default=[], description="every candidate on the labelled images that were among the unlabelled ones"
    )
    landscapes: list[LandscapeAuroc] = Field(default=[])
