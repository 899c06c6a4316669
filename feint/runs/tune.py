"""The main job, top to bottom: tune, train, choose, calibrate, judge, report. No label is read."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from tempfile import mkdtemp

from feint import __version__
from feint.backends import available_cores, open_backend
from feint.calibration.conformal import minimum_images
from feint.core.errors import InputError, OutputError, SettingError
from feint.records.run import StartRecord
from feint.runs.candidates import makings, start_record, training_job, tuning_jobs
from feint.runs.carrying_out import carry_out, estimate_seconds, measure_speed
from feint.runs.choosing import Row, choose, rows_of
from feint.runs.jobs import Making, TrainingJob, load_trained
from feint.runs.judging import audit, calibrate
from feint.runs.preparing import ImagesLike, Prepared, prepare
from feint.runs.progress import Monitor, Phases, Silent
from feint.runs.run import Run
from feint.runs.settings import BUDGETS, Budget, Round, TuneSettings
from feint.runs.workspace import Workspace
from feint.runs.writing import record_of, write_run

MOST_WORKERS = 8


def run_tune(
    normal: ImagesLike,
    unlabelled: ImagesLike,
    settings: TuneSettings,
    *,
    out: Path | None = None,
    resume: bool = False,
    monitor: Monitor | None = None,
) -> Run:
    """Tune the augmentation to these images, train, choose and calibrate the detector, score every image.

    Args:
        normal, unlabelled: a folder, an MVTec category, a manifest, a list of paths, or an array of images.
        settings: see `TuneSettings`. out: the folder to make; a temporary one if None. resume: take up what an
            interrupted attempt at the same `out` has finished. monitor: is told about progress.

    Raises: InputError, UnsupportedRateError, SettingError, OutputError, WorkerError.
    Cost: with the standard budget about five minutes on two cores; memory below 2 GiB.
    """
    space = Workspace(out or Path(mkdtemp(prefix="feint-")) / "run")
    space.open(resume=resume)
    try:
        return _run(normal, unlabelled, settings, space, monitor or Silent())
    except (InputError, SettingError, OutputError):
        space.discard()
        raise


def _run(
    normal: ImagesLike, unlabelled: ImagesLike, settings: TuneSettings, space: Workspace, monitor: Monitor
) -> Run:
    phases = Phases(monitor)
    workers = min(available_cores(), MOST_WORKERS) if settings.device == "cpu" else 1
    budget = BUDGETS[settings.budget].at(settings.image_size)
    needed = minimum_images(settings.false_alarm_rate) if settings.false_alarm_rate else 1

    with phases("reading images"):
        data = prepare(
            normal, unlabelled, space=space, sizes=budget.sizes, needed=needed, seed=settings.seed,
            workers=available_cores(), monitor=monitor,
        )  # fmt: skip
    space.claim({"settings": settings.model_dump(), "data": data.record.model_dump(), "version": __version__})
    budget = budget.shared_by(len(data.rotations))
    _say_what_comes(data, settings, budget, workers=workers, monitor=monitor)

    with open_backend(workers) as backend:
        with phases("tuning magnitudes"):
            starts = _tune(data, settings, budget, backend=backend, space=space, monitor=monitor)
        with phases("training candidates"):
            rows = _train(data, settings, budget, starts, backend=backend, space=space, monitor=monitor)
        with phases("choosing without labels"):
            choice = choose(rows, seed=settings.seed)
        with phases("calibrating and judging"):
            verdict = calibrate(data, settings, choice, backend=backend, space=space)
        with phases("checking the normal images"):
            normals = audit(data, settings, choice, verdict.model, backend=backend, space=space, monitor=monitor)
        with phases("writing the report"):
            record = record_of(data, settings, starts, choice, verdict, phases=phases.records)
            write_run(record, data=data, choice=choice, verdict=verdict, normals=normals, backend=backend, space=space)
    space.finish()
    return Run(space.out)


def _tune(
    data: Prepared, settings: TuneSettings, budget: Budget, *, backend: Executor, space: Workspace, monitor: Monitor
) -> list[list[StartRecord]]:
    """Return, per rotation, where every start of the tuner ended."""
    jobs = [tuning_jobs(data, settings, budget, rotation=r) for r in range(len(data.rotations))]
    carry_out([job for each in jobs for job in each], backend=backend, space=space, monitor=monitor)
    return [[start_record(job, space.jobs, space.logs) for job in each] for each in jobs]


def _train(
    data: Prepared,
    settings: TuneSettings,
    budget: Budget,
    starts: list[list[StartRecord]],
    *,
    backend: Executor,
    space: Workspace,
    monitor: Monitor,
) -> list[Row]:
    """Return the rows of all candidates: every making in the first round, the finalists in the later ones."""
    per_rotation = [makings(settings, each) for each in starts]
    names = [name for name in per_rotation[0] if all(name in each for each in per_rotation)]
    rows: list[Row] = []
    for number, level in enumerate(budget.rounds):
        if number:
            names = _finalists(rows, budget.finalists, seed=settings.seed)
        jobs = {
            name: tuple(
                training_job(data, settings, making[name], name=name, level=level, rotation=r)
                for r, making in enumerate(per_rotation)
            )
            for name in names
        }
        carry_out([job for each in jobs.values() for job in each], backend=backend, space=space, monitor=monitor)
        for name, each in jobs.items():
            found = [load_trained(job, space.jobs) for job in each]
            rows += rows_of(name, each, [(one.held_out, one.unlabelled) for one in found], data.pool)
    return rows


def _finalists(rows: list[Row], n: int, *, seed: int) -> list[str]:
    """Return `none` and the names of the n trainings with the best rows so far."""
    choice = choose(rows, seed=seed)
    ranked = [choice.rows[c].name for c in choice.comparison.values.argsort(kind="stable")[::-1]]
    return ["none", *[name for name in dict.fromkeys(ranked) if name != "none"][:n]]


def _say_what_comes(
    data: Prepared, settings: TuneSettings, budget: Budget, *, workers: int, monitor: Monitor
) -> None:
    """Tell how the images were understood and about how long the rest will take."""
    record = data.record
    monitor.say(
        f"{record.normal.images} normal and {record.unlabelled.images} unlabelled images, "
        f"{'grey' if data.channels == 1 else 'colour'}; "
        f"{record.training} train, {record.selection} choose, {record.calibration} calibrate"
        + (f", in each of {record.rotations} rotations." if record.rotations > 1 else ".")
    )
    jobs: list[TrainingJob] = []
    tuning = [job for r in range(len(data.rotations)) for job in tuning_jobs(data, settings, budget, rotation=r)]
    names = makings(settings, []) | {job.id: Making(augmentation=job.augmentation, ranges={}) for job in tuning}
    for r in range(len(data.rotations)):
        for number, level in enumerate(budget.rounds):
            chosen = list(names.items()) if number == 0 else list(names.items())[1 : 1 + budget.finalists]
            jobs += [training_job(data, settings, making, name=name, level=level, rotation=r) for name, making in chosen]
    seconds = estimate_seconds([*tuning, *jobs, *jobs[-2:]], workers=workers, second_per_cost=measure_speed())
    monitor.say(f"This will take about {_human(seconds)} on {workers} core{'s' if workers > 1 else ''}.")


def _human(seconds: float) -> str:
    return f"{max(10, round(seconds / 10) * 10)} s" if seconds < 90 else f"{round(seconds / 60)} min"
