"""The main job, top to bottom: tune, train, choose, calibrate, judge, report. No label is read."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp

from feint import __version__
from feint.backends import available_cores, open_backend
from feint.calibration.conformal import minimum_images
from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.files import told
from feint.records.run import ScreenedRecord, StartRecord
from feint.runs.candidates import (
    audit_jobs,
    expected_costs,
    final_jobs,
    kept_starts,
    makings,
    screening_jobs,
    start_record,
    training_job,
    tuning_jobs,
)
from feint.runs.carrying_out import Crew, estimate_seconds, measure_speed
from feint.runs.choosing import DEFAULT_SCORE, Row, choose, rows_of
from feint.runs.jobs import TrainingJob, load_trained
from feint.runs.judging import audit, judge
from feint.runs.preparing import ImagesLike, Prepared, prepare
from feint.runs.progress import Monitor, Phases, Silent
from feint.runs.run import Run
from feint.runs.settings import BUDGETS, Budget, TuneSettings
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
        _run(normal, unlabelled, settings, space, monitor or Silent())
    except (InputError, SettingError, CollapseError, OSError) as error:
        space.discard()
        if out is None:
            space.out.parent.rmdir()
        if isinstance(error, OSError):
            raise told(error, space.path) from error
        raise
    space.finish()
    return Run(space.out)


def _run(
    normal: ImagesLike, unlabelled: ImagesLike, settings: TuneSettings, space: Workspace, monitor: Monitor
) -> None:
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

    with open_backend(workers) as backend:
        _say_what_comes(data, settings, budget, workers=workers, monitor=monitor)
        crew = Crew(backend, space, monitor)
        with phases("screening starts"):
            starts, screened = _screen(data, settings, budget, crew)
        with phases("tuning magnitudes"):
            tuned = _tune(data, settings, budget, starts, crew)
        with phases("training candidates"):
            rows = _train(data, settings, budget, tuned, crew)
        with phases("choosing without labels"):
            choice = choose(rows, seed=settings.seed)
        with phases("training the chosen detector"):
            finals = final_jobs(data, choice, steps=budget.final_steps)
            audits = audit_jobs(data, settings, choice, steps=budget.final_steps // 3) if len(finals) == 1 else []
            crew.carry_out([*finals, *audits])
        with phases("calibrating and judging"):
            verdict = judge(data, settings, finals, crew)
            normals = audit(data, verdict.model, audits, crew)
        with phases("writing the report"):
            record = record_of(data, settings, choice, verdict, phases=phases.records, starts=tuned, screened=screened)
            write_run(record, data=data, finals=finals, verdict=verdict, normals=normals, crew=crew)


def _screen(
    data: Prepared, settings: TuneSettings, budget: Budget, crew: Crew
) -> tuple[list[dict[str, list[dict[str, float]]]], list[ScreenedRecord]]:
    """Try every start with a short training; return, per rotation, the best of each augmentation, and all of them."""
    rotations = range(len(data.rotations))
    jobs = [screening_jobs(data, settings, budget, rotation=r) for r in rotations]
    crew.carry_out([job for each in jobs for job in each])
    rows = [
        row for turn in zip(*jobs, strict=True) for row in _rows(crew, turn[0].id, turn) if row.score == DEFAULT_SCORE
    ]
    kept = [kept_starts(rows, budget.kept, rotation=r) for r in rotations]
    records = [
        ScreenedRecord(
            augmentation=row.making.augmentation,
            start=start,
            two_sample_auroc=sum(row.two_sample_auroc(r) for r in rotations) / len(rotations),
            kept=any(start in each[row.making.augmentation] for each in kept),
        )
        for row in rows
        for start in [{name: low for name, (low, _) in row.making.ranges.items()}]
    ]
    return kept, records


def _tune(
    data: Prepared, settings: TuneSettings, budget: Budget, starts: list[dict[str, list[dict[str, float]]]], crew: Crew
) -> list[list[StartRecord]]:
    """Return, per rotation, where every start that was kept ended."""
    jobs = [tuning_jobs(data, settings, budget, each, rotation=r) for r, each in enumerate(starts)]
    crew.carry_out([job for each in jobs for job in each])
    return [[start_record(job, crew.space.jobs, crew.space.logs) for job in each] for each in jobs]


def _train(
    data: Prepared, settings: TuneSettings, budget: Budget, starts: list[list[StartRecord]], crew: Crew
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
        crew.carry_out([job for each in jobs.values() for job in each])
        for name, each in jobs.items():
            rows += _rows(crew, name, each)
    return rows


def _rows(crew: Crew, name: str, jobs: tuple[TrainingJob, ...]) -> list[Row]:
    return rows_of(name, jobs, [load_trained(job, crew.space.jobs) for job in jobs])


def _finalists(rows: list[Row], n: int, *, seed: int) -> list[str]:
    """Return `none` and the names of the n trainings with the best rows so far."""
    choice = choose(rows, seed=seed)
    ranked = [choice.rows[c].name for c in choice.comparison.values.argsort(kind="stable")[::-1]]
    return ["none", *[name for name in dict.fromkeys(ranked) if name != "none"][:n]]


def _say_what_comes(data: Prepared, settings: TuneSettings, budget: Budget, *, workers: int, monitor: Monitor) -> None:
    """Tell how the images were understood and about how long the rest will take."""
    record = data.record
    monitor.say(
        f"{record.normal.images} normal and {record.unlabelled.images} unlabelled images, "
        f"{'grey' if data.channels == 1 else 'colour'}; "
        f"{record.training} train, {record.selection} choose, {record.calibration} calibrate"
        + (f", in {record.rotations} rotations." if record.rotations > 1 else ".")
    )
    seconds = estimate_seconds(expected_costs(data, settings, budget), workers=workers, second_per_cost=measure_speed())
    monitor.say(f"This will take about {_human(seconds)} on {workers} core{'s' if workers > 1 else ''}.")


def _human(seconds: float) -> str:
    return f"{max(10, round(seconds / 10) * 10)} s" if seconds < 90 else f"{round(seconds / 60)} min"
