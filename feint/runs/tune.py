"""The main job, top to bottom: tune, train, choose, calibrate, judge, report. No label is read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from tempfile import mkdtemp

from feint import __version__
from feint.backends import available_cores, open_backend
from feint.calibration.conformal import minimum_images
from feint.core.errors import CollapseError, InputError, SettingError
from feint.core.files import told
from feint.runs.candidates import (
    Candidate,
    audit_jobs,
    expected_costs,
    final_jobs,
    planned,
    suffix_of,
    trained_candidate,
    training_job,
    tuned_candidate,
)
from feint.runs.carrying_out import Crew, estimate_seconds, measure_speed
from feint.runs.choosing import choose
from feint.runs.judging import audit, judge
from feint.runs.landscapes import Landscapes, better, highest, landscape_jobs, landscape_records, wider
from feint.runs.preparing import ImagesLike, Prepared, prepare
from feint.runs.pretrained import Start, start_from
from feint.runs.progress import Monitor, Phases, Silent
from feint.runs.recipes import FOLDS
from feint.runs.run import Run
from feint.runs.settings import BUDGETS, Budget, TuneSettings
from feint.runs.tracking import Following, begin, end_tune, tell_result
from feint.runs.workspace import Workspace
from feint.runs.writing import record_of, write_run
from feint.trackers import Guarded, TrackerLike, trackers_of

MOST_WORKERS = 8


def run_tune(
    normal: ImagesLike,
    unlabelled: ImagesLike,
    settings: TuneSettings,
    *,
    out: Path | None = None,
    resume: bool = False,
    monitor: Monitor | None = None,
    trackers: Sequence[TrackerLike] = (),
) -> Run:
    """Tune the augmentation to these images, train, choose and calibrate the detector, score every image.

    Args:
        normal, unlabelled: a folder, an MVTec category, a manifest, a list of paths, or an array of images.
        settings: see `TuneSettings`. out: the folder to make; a temporary one if None. resume: take up what an
            interrupted attempt at the same `out` has finished; without, it is refused, and never removed. monitor: is
            told about progress.
        trackers: are told of losses, landscapes, criteria, pictures and files; see `feint.trackers`.

    Raises: InputError, UnsupportedRateError, SettingError, OutputError, WorkerError.
    Cost: with the standard budget about five minutes on two cores; memory below 2 GiB.
    """
    monitor = monitor or Silent()
    tracking = Guarded(monitor.say, trackers_of(trackers))
    space = Workspace(out or Path(mkdtemp(prefix="feint-")) / "run")
    with closing(space.open(resume=resume)), tracking:
        try:
            _run(normal, unlabelled, settings, space, monitor, tracking)
        except (InputError, SettingError, CollapseError, OSError) as error:
            space.discard()
            if out is None:
                with suppress(OSError):  # a tracker has written there, too
                    space.out.parent.rmdir()
            if isinstance(error, OSError):
                raise told(error, space.path) from error
            raise
        space.finish()
        end_tune(tracking, space.out)
    return Run(space.out)


def _run(
    normal: ImagesLike,
    unlabelled: ImagesLike,
    settings: TuneSettings,
    space: Workspace,
    monitor: Monitor,
    tracking: Guarded,
) -> None:
    phases = Phases(monitor)
    workers = min(available_cores(), MOST_WORKERS) if settings.device == "cpu" else 1
    needed = minimum_images(settings.false_alarm_rate) if settings.false_alarm_rate else 1

    with phases("reading images"):
        data = prepare(
            normal, unlabelled, space=space, budget=BUDGETS[settings.budget], image_size=settings.image_size,
            needed=needed, seed=settings.seed, workers=available_cores(), monitor=monitor,
        )  # fmt: skip
    start = None if settings.encoder is None else start_from(settings.encoder)
    if start is not None:
        start.check(data.channels)
    identity: dict[str, object] = {
        **settings.model_dump(),
        **data.record.model_dump(),
        "weights": start and start.settings,
        "version of Feint": __version__,
    }
    space.claim(identity)
    begin(tracking, "tune", settings, space)
    budget = data.budget.shared_by(len(data.rotations))

    with open_backend(workers) as backend:
        _say_what_comes(data, settings, budget, workers=workers, monitor=monitor)
        crew = Crew(backend, space, Following(monitor, tracking, space.logs))
        with phases("searching magnitudes"):
            landscapes = _search(data, settings, budget, crew)
        with phases("training candidates"):
            candidates = _train(data, settings, budget, landscapes, start, crew)
        with phases("choosing without labels"):
            choice = choose(candidates, seed=settings.seed, single=settings.single)
        with phases("training the chosen detector"):
            finals = final_jobs(data, settings, choice.per_rotation, budget)
            audits = (
                audit_jobs(data, settings, choice.voters, steps=budget.final_steps // 3) if len(finals) == 1 else []
            )
            crew.carry_out([*finals, *audits])
        with phases("calibrating and judging"):
            verdict = judge(data, settings, finals, crew)
            normals = audit(data, verdict.model, audits, crew)
        with phases("writing the report"):
            found = landscape_records(data, landscapes, space.jobs)
            record = record_of(data, settings, choice, verdict, phases=phases.records, landscapes=found)
            gallery = write_run(
                record, data=data, choice=choice, landscapes=landscapes, finals=finals, verdict=verdict,
                normals=normals, crew=crew,
            )  # fmt: skip
    tell_result(tracking, record, gallery, map_scale=verdict.model.map_scale)


def _search(data: Prepared, settings: TuneSettings, budget: Budget, crew: Crew) -> Landscapes:
    """Return the finished landscapes of each size, per rotation.

    Where the highest of them is highest at a bound, it is searched once more over a wider range.
    """
    folder = crew.space.jobs
    jobs = {
        px: [landscape_jobs(data, settings, budget, px=px, rotation=r) for r in range(len(data.rotations))]
        for px in budget.sizes
    }
    every = [job for each in jobs.values() for rotation in each for job in rotation]
    crew.carry_out(every)
    tops = [highest(rotation, folder) for each in jobs.values() for rotation in each if rotation]
    repeated = {job.id: wide for job in tops if (wide := wider(job, folder))}
    crew.carry_out(list(repeated.values()))
    return {
        px: [[better(job, repeated.get(job.id), folder) for job in rotation] for rotation in each]
        for px, each in jobs.items()
    }


def _train(
    data: Prepared,
    settings: TuneSettings,
    budget: Budget,
    landscapes: Landscapes,
    start: Start | None,
    crew: Crew,
) -> list[Candidate]:
    """Return all candidates, trained and scored in every rotation."""
    plans = planned(settings, budget, start=start)
    plans = [each for each in plans if data.different >= FOLDS or not each.recipe.learns_from_pool]
    rotations = range(len(data.rotations))
    jobs = [tuple(training_job(data, settings, each, rotation=r) for r in rotations) for each in plans]
    crew.carry_out([job for each in jobs for job in each])
    found = [trained_candidate(plan, each, crew.space.jobs) for plan, each in zip(plans, jobs, strict=True)]
    for px, per_rotation in landscapes.items():
        for same in zip(*per_rotation, strict=True):
            name = same[0].making.augmentation + suffix_of(px, budget)
            found.append(tuned_candidate(name, px, same, crew.space.jobs))
    return found


def _say_what_comes(data: Prepared, settings: TuneSettings, budget: Budget, *, workers: int, monitor: Monitor) -> None:
    """Tell how the images were understood and about how long the rest will take."""
    record = data.record
    monitor.say(
        f"{record.normal.images} normal and {record.unlabelled.images} unlabelled images, "
        f"{'grey' if data.channels == 1 else 'colour'}; "
        + (
            f"in each of {record.rotations} rotations about {record.training} train, {record.selection} choose and the "
            "rest calibrate."
            if record.rotations > 1
            else f"{record.training} train, {record.selection} choose, {record.calibration} calibrate."
        )
    )
    seconds = estimate_seconds(expected_costs(data, settings, budget), workers=workers, second_per_cost=measure_speed())
    monitor.say(f"This will take about {_human(seconds)} on {workers} core{'s' if workers > 1 else ''}.")


def _human(seconds: float) -> str:
    return f"{max(10, round(seconds / 10) * 10)} s" if seconds < 90 else f"{round(seconds / 60)} min"
