"""The record of one run of `feint tune`: the schema of `run.json`, which the report reads and nothing else."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

RUN_SCHEMA = 1


class Record(BaseModel):
    """Base of every record: strict keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(Record):
    """A number with its 95 % interval (paired bootstrap over images unless said otherwise)."""

    value: float
    low: float
    high: float


class Skipped(Record):
    """An image that was left out, and why."""

    path: str
    reason: str


class ImagesRecord(Record):
    """One of the two image sets as it was understood."""

    source: str = Field(description="folder, manifest or 'array' as the user gave it")
    layout: str = Field(description="how it was understood: 'folder', 'mvtec', 'manifest', 'array', ...")
    images: int = Field(description="readable images used")
    skipped: list[Skipped] = Field(description="unreadable, too small or too large images")
    duplicates: list[list[str]] = Field(description="groups of images that are pixel for pixel the same")
    smallest: tuple[int, int] = Field(description="height, width of the smallest image by area")
    largest: tuple[int, int]
    modes: dict[str, int] = Field(description="pixel modes found, e.g. {'L': 300, 'I;16': 2}")
    fingerprint: str = Field(description="sha256 over names and pixels")


class DataRecord(Record):
    normal: ImagesRecord
    unlabelled: ImagesRecord
    shared: list[str] = Field(
        description="unlabelled images that also stand in the normal set: known normal, never flagged"
    )
    rotations: int = Field(description="1: one split; k > 1: cross-fitting with k folds because the folder is small")
    training: int = Field(description="normal images per rotation in each role")
    selection: int
    calibration: int


class PreprocessingRecord(Record):
    """How any image becomes the network's input; also the heart of manifest.json."""

    channels: Literal[1, 3]
    height: int
    width: int
    white: int = Field(description="input value that maps to 1.0: 255, or the bit depth's maximum for 16-bit images")


class ScreenedRecord(Record):
    """One start that a short training tried, to find those worth tuning."""

    augmentation: str
    start: dict[str, float]
    two_sample_auroc: float = Field(description="of the pooled score; mean over rotations")
    kept: bool


class StartRecord(Record):
    """One start of the tuner, from its first magnitudes to its last."""

    job: str
    augmentation: str
    start: dict[str, float]
    end: dict[str, float] = Field(description="the mean over the last quarter of the path")
    steps: list[int]
    trajectory: dict[str, list[float]] = Field(description="magnitude -> natural value at each of `steps`")
    validation_loss: list[float] = Field(description="mean-distance loss at each of `steps`")
    training_loss: list[float]
    variance: float = Field(description="S, the variance of standardised scores on the unlabelled images")
    status: Literal["ok", "identity", "collapsed"]
    note: str = ""


class CandidateRecord(Record):
    """One row of the table of candidates: an augmentation, an image size and a score, judged without labels."""

    id: str
    augmentation: str = Field(description="'none' = the same score on the untrained encoder")
    origin: Literal["tuned", "start", "dynamic", "none"] = Field(
        description="tuned magnitudes, those of a start, random ones, or no training"
    )
    magnitudes: dict[str, tuple[float, float]] = Field(description="name -> (low, high) drawn from; equal when static")
    size: tuple[int, int] = Field(description="height, width in pixels")
    score: str
    criterion: Estimate | None = Field(description="the number by which candidates are ranked; None if it failed")
    two_sample_auroc: Estimate | None
    excess_95: float | None
    excess_99: float | None
    gap: Estimate | None = Field(description="chosen candidate's criterion minus this one's, paired interval")
    chosen: bool = False
    status: Literal["ok", "identity", "failed"] = "ok"
    note: str = ""


class ChoiceRecord(Record):
    candidate: str
    committee: list[str] = Field(description="candidates that vote, since they cannot be told apart (first rotation)")
    verdict: Literal["augmentation", "none", "abstain"] = Field(
        description="an augmentation is better than none; none is best; the candidates cannot be told apart"
    )
    sentence: str
    augmentation: str
    magnitudes: dict[str, tuple[float, float]]
    score: str
    size: tuple[int, int]
    advantage_over_none: Estimate | None = Field(description="criterion of the choice minus that of the best 'none'")


class CalibrationRecord(Record):
    images: int = Field(description="calibration normals")
    mode: Literal["false_alarm_rate", "fdr"]
    asked: float
    rate: float = Field(description="the rate used; differs from `asked` only when the default fell back")
    threshold: float | None = Field(description="score above which an image is flagged; None when several models vote")
    realised: tuple[float, float] = Field(description="5 % and 95 % points of the false-alarm rate this set may give")
    guarantee: str


class FoundRecord(Record):
    flagged: int
    unlabelled: int
    expected_false_alarms: float
    sentence: str
    any_anomaly_p_value: float = Field(
        description="p-value of 'the unlabelled images are all normal' by the share flagged"
    )


class PhaseRecord(Record):
    name: str
    seconds: float
    peak_mib: float = Field(description="peak resident memory of this process and its workers, MiB")


class WarningRecord(Record):
    code: str
    message: str


class RunRecord(Record):
    """Everything about one run but the scores, which stand in scores.csv and normals.csv."""

    schema_version: int = RUN_SCHEMA
    versions: dict[str, str]
    created: str
    seed: int
    settings: dict[str, object]
    command: str = Field(description="the command line that makes this run again")
    data: DataRecord
    preprocessing: PreprocessingRecord
    screened: list[ScreenedRecord]
    starts: list[StartRecord]
    candidates: list[CandidateRecord]
    choice: ChoiceRecord
    calibration: CalibrationRecord
    found: FoundRecord
    phases: list[PhaseRecord]
    label_reads: int = 0
    warnings: list[WarningRecord]
