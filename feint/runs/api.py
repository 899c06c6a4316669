"""Each command as one Python call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from feint.core.errors import SettingError
from feint.runs.preparing import ImagesLike
from feint.runs.progress import Monitor
from feint.runs.run import Run
from feint.runs.settings import BudgetName, TuneSettings
from feint.trackers import TrackerLike

if TYPE_CHECKING:
    from feint.records.assessment import AssessmentRecord
    from feint.records.evaluation import EvaluationRecord
    from feint.records.pretraining import PretrainingRecord
    from feint.runs.finished_pretraining import Pretrained


def tune(
    normal: ImagesLike,
    unlabelled: ImagesLike,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    budget: BudgetName = "standard",
    image_size: int | None = None,
    false_alarm_rate: float | None = None,
    fdr: float | None = None,
    augmentations: Sequence[str] | None = None,
    nuisances: Sequence[str] = (),
    single: bool = False,
    encoder: str | Path | None = None,
    device: str = "cpu",
    resume: bool = False,
    monitor: Monitor | None = None,
    trackers: Sequence[TrackerLike] = (),
) -> Run:
    """Tune the augmentation to these images without a label, train the detector, score every image; return the run.

    Args:
        normal: normal images: a folder, an MVTec category, a CSV or Parquet manifest, a list of paths, or an array
            (n, h, w), (n, h, w, c) or (n, c, h, w). At least 20.
        unlabelled: the images to judge, likewise; normal and anomalous ones mixed.
        out: the folder to make; it must not exist. None: a temporary one, named in `run.path`.
        seed: same seed, same machine: same scores to the last bit.
        budget: "quick", "standard" or "thorough"; steps, not seconds.
        image_size: square root of the number of pixels that images are resized to; None leaves it to the budget.
        false_alarm_rate: largest share of normal images that may be flagged, on average; None is 0.05, or the
            smallest rate that so few normal images support.
        fdr: instead, the largest share of normal images among the flagged ones, on average.
        augmentations: those to search, of `feint.augmentations.AUGMENTATIONS`; None: those of the budget.
        nuisances: changes that must not count as anomalies, of `feint.augmentations.NUISANCES`.
        single: one candidate is the answer, not several that vote.
        encoder: weights from which further candidates start: a folder of `feint pretrain` or its encoder.safetensors,
            "timm:NAME" or "lite0". They are used as they are and, where the budget has time for it, fine-tuned.
        device: "cpu" or "cuda".
        resume: take up what an interrupted attempt at `out` has finished.
        monitor: is told about progress.
        trackers: are told of losses, landscapes, criteria, pictures and files: "tensorboard", "mlflow",
            "mlflow:PLACE", or a `feint.core.tracking.Tracker`. One that fails is left out, and the run goes on.

    Raises: SettingError, InputError, UnsupportedRateError, OutputError, WorkerError; each says what to do.
    Cost: with the standard budget about five minutes on two cores; memory below 2 GiB.
    """
    from feint.runs.tune import run_tune

    values: dict[str, object] = {
        "seed": seed,
        "budget": budget,
        "image_size": image_size,
        "false_alarm_rate": false_alarm_rate,
        "fdr": fdr,
        "nuisances": tuple(nuisances),
        "single": single,
        "encoder": None if encoder is None else str(encoder),
        "device": device,
    }
    if augmentations is not None:
        values["augmentations"] = tuple(augmentations)
    try:
        settings = TuneSettings.model_validate(values)
    except ValidationError as error:
        raise SettingError(problems(error)) from None
    return run_tune(
        normal,
        unlabelled,
        settings,
        out=None if out is None else Path(out),
        resume=resume,
        monitor=monitor,
        trackers=trackers,
    )


def evaluate(run: str | Path | Run, labels: str | Path, *, all_candidates: bool = False) -> EvaluationRecord:
    """Read labels, the only function that does, and return how well the run did, with 95 % intervals.

    Args:
        run: the run or its folder, in which the result is stored. labels: a CSV `path,label` (0 normal, 1 anomalous)
            or a test folder in the MVTec layout. all_candidates: judge every candidate that was weighed, too.

    Raises: InputError, IntegrityError.
    """
    from feint.runs.evaluate import evaluate_run

    return evaluate_run(_run(run), labels, all_candidates=all_candidates)


def refit(
    run: str | Path | Run,
    marks: str | Path | Mapping[str, int],
    *,
    out: str | Path,
    seed: int = 0,
    monitor: Monitor | None = None,
) -> Run:
    """Learn from images that a person has marked, calibrate anew, and return a new run beside the old one.

    Args:
        run: the run or its folder. marks: a CSV `path,label` (0 normal, 1 anomalous), or labels by path; the paths are
            those of the run's scores.csv.
        out: the folder to make; it must not exist.
        seed: same seed, same machine: same scores to the last bit. monitor: is told about progress.

    Raises: InputError, IntegrityError, OutputError, CollapseError, WorkerError; each says what to do.
    Cost: a minute on one core with some hundred images of 64 px.
    """
    from feint.runs import refit as refitting
    from feint.runs.refit_marks import read_marks

    found = marks if isinstance(marks, Mapping) else read_marks(marks)
    return refitting.refit(_run(run), found, out=Path(out), seed=seed, monitor=monitor)


def pretrain(
    images: ImagesLike,
    *,
    out: str | Path,
    method: str = "simclr",
    encoder: str = "resnet8",
    views: str | None = None,
    image_size: int = 64,
    steps: int = 1000,
    batch: int = 64,
    rate: float | None = None,
    weight_decay: float | None = None,
    precision: str = "fp32",
    device: str = "cpu",
    seed: int = 0,
    resume: bool = False,
    monitor: Monitor | None = None,
    trackers: Sequence[TrackerLike] = (),
) -> PretrainingRecord:
    """Pretrain an encoder on unlabelled images; return the record that `out` then holds beside its weights.

    Args:
        images: as for `tune`; at least 2 different ones.
        out: the folder to make; it must not exist.
        method: "simclr", "byol", "barlow_twins", "dino", "mae" or "vicreg".
        encoder: "resnet18", "vit_tiny", or the small "resnet8" and "vit_micro"; of the transformers also with the side
            of their patches in pixels, "vit_tiny/8".
        views: what makes the views: "imagenet", "small", "defect", "mae", or a composition like "crop+color+blur";
            None is "defect", or "mae" for the masked autoencoder.
        image_size: square root of the number of pixels that images are resized to.
        steps: how many; the learning rate falls to 0 over them. batch: images a step, over all processes.
        rate, weight_decay: of the optimiser; None: the encoder's usual ones.
        precision: "fp32" or "bf16", which computes in half precision where it can.
        device: "cpu" or "cuda". seed: same seed, same machine: same weights to the last bit.
        resume: go on with what an interrupted attempt at `out` has saved.
        monitor: is told about progress. trackers: are told of every step, of alarms and files; as for `tune`.

    Raises: SettingError, InputError, OutputError, IntegrityError, CollapseError; each says what to do.
    Cost: `steps` times `batch` images, each seen twice, forward and backward. The images stay on disk, as pixels.
    """
    from feint.runs.pretrain import run_pretrain
    from feint.runs.pretrain_settings import PretrainSettings

    values: dict[str, object] = {
        "method": method,
        "encoder": encoder,
        "views": views,
        "image_size": image_size,
        "steps": steps,
        "batch": batch,
        "rate": rate,
        "weight_decay": weight_decay,
        "precision": precision,
        "device": device,
        "seed": seed,
    }
    try:
        settings = PretrainSettings.model_validate(values)
    except ValidationError as error:
        raise SettingError(problems(error)) from None
    return run_pretrain(images, settings, out=Path(out), resume=resume, monitor=monitor, trackers=trackers)


def assess(
    run: str | Path | Pretrained, images: ImagesLike, *, seed: int = 0, monitor: Monitor | None = None
) -> AssessmentRecord:
    """Return, without labels, how good a pretrained representation is on these images, and which checkpoint to keep.

    Args:
        run: the pretraining or its folder, in which the result is stored. images: as for `tune`, at least ten.
        seed: of the views and of samples. monitor: is told about progress.

    Raises: InputError, IntegrityError, OutputError.
    """
    from feint.runs.assess import run_assess
    from feint.runs.finished_pretraining import Pretrained

    return run_assess(run if isinstance(run, Pretrained) else Pretrained(run), images, seed=seed, monitor=monitor)


def _run(run: str | Path | Run) -> Run:
    return run if isinstance(run, Run) else Run(run)


def problems(error: ValidationError) -> str:
    """Return every problem of the settings in one message."""
    told = []
    for each in error.errors():
        where = ".".join(str(part) for part in each["loc"])
        what = each["msg"].removeprefix("Value error, ").removesuffix(".")
        told.append(f"{where}: {what} (got {each['input']!r})" if where else what)
    return "; ".join(told) + "."
