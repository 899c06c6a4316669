"""The record of one run of `feint tune`: the schema of `run.json`, which the report reads and nothing else."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

RUN_SCHEMA = 2


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
    training: int = Field(description="normal images that train in the first rotation")
    selection: int = Field(description="normal images that choose in the first rotation")
    calibration: int = Field(description="normal images that calibrate in any of them")


class PreprocessingRecord(Record):
    """How any image becomes the network's input; also the heart of manifest.json."""

    channels: Literal[1, 3]
    height: int
    width: int
    white: int = Field(description="input value that maps to 1.0: 255, or the bit depth's maximum for 16-bit images")


class PointRecord(Record):
    """One setting of an augmentation's magnitudes, and how well its detector tells the unlabelled images apart."""

    magnitudes: dict[str, float]
    two_sample_auroc: float = Field(description="of the pooled score; in the first rotation")


class LandscapeRecord(Record):
    """The criterion over the magnitudes of one augmentation: one training, many settings."""

    augmentation: str
    size: tuple[int, int] = Field(description="height, width of the images in pixels")
    ranges: dict[str, tuple[float, float]] = Field(description="what was searched, by magnitude")
    points: list[PointRecord]
    chosen: dict[str, float] = Field(description="where the smoothed criterion is highest; in the first rotation")
    smoothed: float = Field(description="the smoothed criterion there")
    at_bound: list[str] = Field(description="magnitudes that were chosen at the very end of what they can be")
    widened: bool = Field(description="the search was repeated once beyond a bound at which it had ended")


class CandidateRecord(Record):
    """One row of the table of candidates, judged without labels. Its scores stand in candidates.csv under its name."""

    name: str = Field(description="unique; 'none' = the scores on the untrained encoder")
    kind: Literal["none", "autoencoder", "tuned", "random", "features", "unlabelled", "ensemble", "marked"] = Field(
        description="'tuned', 'random': an augmentation at tuned or random magnitudes; 'features': distances on a "
        "pretrained encoder; 'unlabelled': learned from normal against unlabelled images; 'ensemble': mean of others; "
        "'marked': learned from images that a person has marked, in a refit"
    )
    augmentation: str = Field(description="'none' where there is none")
    magnitudes: dict[str, tuple[float, float]] = Field(description="name -> (low, high) drawn from; equal when static")
    size: tuple[int, int] = Field(description="height, width in pixels")
    members: list[str] = Field(default=[], description="of an ensemble: the candidates that vote")
    criterion: Estimate | None = Field(
        description="the number by which candidates are ranked; None if it failed or was not ranked"
    )
    excess_95: float | None
    excess_99: float | None
    estimated_auroc: Estimate | None = Field(
        description="AUROC estimated without a label; None where nothing supports it"
    )
    gap: Estimate | None = Field(description="chosen candidate's criterion minus this one's, paired interval")
    chosen: bool = False
    status: Literal["ok", "failed"] = "ok"
    note: str = ""


class ShareRecord(Record):
    """One member of the answer: an augmentation at its magnitudes, and its weight among the voters."""

    candidate: str
    augmentation: str
    magnitudes: dict[str, tuple[float, float]]
    weight: float


class ChoiceRecord(Record):
    candidate: str = Field(description="name of the chosen candidate")
    verdict: Literal["augmentation", "none", "other", "abstain"] = Field(
        description="an augmentation is better than none; none is best; 'other': a candidate without augmentation "
        "is best; none is shown to be better than no training, and the fixed default is used, or what was joined to it"
    )
    confidence: float = Field(description="share of the bootstrap draws in which no candidate but those voting is best")
    sentence: str
    augmentation: str = Field(description="of the heaviest voter; 'none' where it has none")
    magnitudes: dict[str, tuple[float, float]]
    size: tuple[int, int]
    shares: list[ShareRecord] = Field(description="who votes, heaviest first; one for a single candidate")
    advantage_over_none: Estimate | None = Field(description="criterion of the choice minus that of `none`")
    anomalous_share: Estimate | None = Field(description="estimated share of anomalous images among the unlabelled")


class CalibrationRecord(Record):
    images: int = Field(description="calibration normals")
    mode: Literal["false_alarm_rate", "fdr"]
    asked: float
    rate: float = Field(description="the rate used; differs from `asked` only when the default fell back")
    threshold: float | None = Field(description="score above which an image is flagged; None when several models vote")
    realised: tuple[float, float] = Field(description="5 % and 95 % points of the false-alarm rate this set may give")
    guarantee: str


class FoundRecord(Record):
    flagged: int = Field(description="of these unlabelled images")
    unlabelled: int = Field(description="all but those that the detector has learned from as marked")
    learned_from: int = Field(
        default=0,
        description="unlabelled images that a refit has learned from by marks, and their exact copies: they count in "
        "no number here; in scores.csv they are flagged where others of their p-value are, which has no guarantee",
    )
    expected_false_alarms: float
    sentence: str
    any_anomaly_p_value: float = Field(
        description="p-value of 'the unlabelled images are all normal' by the share flagged"
    )
    together_p_value: float | None = Field(
        default=None, description="the same by the ranks of all of them; None in runs made before it was computed"
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
    landscapes: list[LandscapeRecord]
    candidates: list[CandidateRecord]
    choice: ChoiceRecord
    calibration: CalibrationRecord
    found: FoundRecord
    phases: list[PhaseRecord]
    label_reads: int = 0
    warnings: list[WarningRecord]
