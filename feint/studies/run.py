"""The engine: carries out the cells of a plan that are not recorded yet, on any backend, and never loses one."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import feint
from feint.backends import Backend, BackendName, Shared, first_completed, open_named
from feint.core.errors import FeintError
from feint.core.files import write_text
from feint.data.testbeds import NormalSet, TestbedSettings, fingerprint, normal_sets
from feint.studies.cell import Cell, Found, Images, Outcome, code_version, experiment, run_cell
from feint.studies.plan import Arm, DataTable, Plan, arms_of, learns_from_unlabelled, settings_of_arm
from feint.studies.plan_file import read_plan
from feint.studies.store import Counts, Store
from feint.studies.tracked import tracked
from feint.studies.tune_pool import task_name
from feint.studies.wild_cell import WildCell, WildImages, wild_experiment
from feint.studies.wild_plan import WildPlan
from feint.studies.wild_run import wild_cells
from feint.trackers import TrackerLike, trackers_of

WAITING_PER_WORKER = 2
DONE = {"done", "failed"}


@dataclass(frozen=True)
class Progress:
    """How far a study is; `per_minute` and `seconds_left` are NaN before the first cell has come in.

    The first of a run carries its `notes`: sentences on what is to be known.
    """

    counts: Counts
    per_minute: float
    seconds_left: float
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The cells of a plan, and the images each of them sees, by the data set's name and the normal class.

    `experiment` carries a cell out with its images. `left_out` are the combinations that have no meaning; `notes` are
    sentences on what else is to be known.
    """

    experiment: Callable[[Any, Any], Found]
    cells: Sequence[Cell | WildCell]
    images: Mapping[tuple[str, str], Images | WildImages]
    left_out: list[str]
    notes: list[str] = field(default_factory=list)


def run_study(
    plan: Path,
    store: Path,
    *,
    backend: BackendName = "processes",
    workers: int | None = None,
    address: str | None = None,
    retry_failed: bool = False,
    tell: Callable[[Progress], None] = lambda _: None,
    trackers: Sequence[TrackerLike] = (),
) -> Counts:
    """Run the cells of the plan at `plan` that the store at `store` does not hold yet; returns what it then holds.

    Args:
        backend: "serial", "processes" or "ray". workers: processes; None: one per core. address: of a Ray cluster.
        retry_failed: run the cells again that failed before. tell: is told of the progress now and then.
        trackers: are told of each finished cell, those of earlier runs of the study included.

    Raises: SettingError for a plan that cannot be run; InputError for images that cannot be read, or where another
    engine works on the store; OutputError where the disk is full: run again when there is space.
    """
    hearers, checked = trackers_of(trackers), read_plan(plan)
    with Store(store, write=True) as opened, open_named(backend, workers=workers, address=address) as executor:
        prepared = prepare(checked, executor, folder=Path(store) / "images")
        opened.plan(
            prepared.cells,
            {
                "name": checked.study.name,
                "plan": Path(plan).read_text(encoding="utf-8"),
                "folder": str(Path(plan).resolve().parent),
                "left_out": json.dumps(prepared.left_out),
                "notes": json.dumps(prepared.notes),
                "version": f"{feint.__version__}+{code_version()}",
            },
        )
        statuses = opened.statuses()
        kept = {"done"} if retry_failed else DONE
        waiting = [cell for cell in prepared.cells if statuses[cell.key] not in kept]
        started = time.monotonic()

        def say(*notes: str) -> None:
            tell(Progress(opened.counts(), float("nan"), float("nan"), notes))

        say(*prepared.notes)
        outcomes = _outcomes(waiting, prepared, executor, most=WAITING_PER_WORKER * executor.workers)
        with closing(outcomes) as found, tracked(opened, prepared.cells, hearers, say=say) as track:
            for count, (cell, outcome) in enumerate(found, start=1):
                opened.record(cell, outcome)
                track(cell)
                rate = count / (time.monotonic() - started)
                tell(Progress(opened.counts(), 60 * rate, (len(waiting) - count) / rate))
        return opened.counts()


def _outcomes(
    waiting: list[Cell | WildCell], prepared: Prepared, executor: Backend, *, most: int
) -> Generator[tuple[Cell | WildCell, Outcome], None, None]:
    """Yield every cell with its outcome as it comes in; at most `most` are handed out at a time."""
    cells = iter(waiting)
    running: dict[Future[Outcome], Cell | WildCell] = {}
    while True:
        while len(running) < most and (cell := next(cells, None)) is not None:
            images = prepared.images[cell.data, cell.normal]
            running[executor.submit(run_cell, prepared.experiment, cell, images)] = cell
        if not running:
            return
        for future in first_completed(running):
            yield running.pop(future), _outcome(future)


def _outcome(future: Future[Outcome]) -> Outcome:
    """Return what a cell sent back, or, if its worker died, that."""
    try:
        return future.result()
    except FeintError as error:
        return Outcome(reason=str(error), traceback="".join(getattr(error, "__notes__", ())))


def prepare(plan: Plan | WildPlan, backend: Backend, *, folder: Path) -> Prepared:
    """Read every data set once, share its arrays with the workers, and lay out the cells, seed by seed."""
    if isinstance(plan, WildPlan):
        wild, wild_images, notes = wild_cells(plan, backend, folder=folder)
        return Prepared(experiment=wild_experiment, cells=wild, images=wild_images, left_out=[], notes=notes)
    arms, left_out = arms_of(plan)
    cells: list[Cell] = []
    images: dict[tuple[str, str], Images] = {}
    for table in plan.data:
        mine = [arm for arm in arms if arm.data == table.name]
        if not mine:
            left_out.append(f"data {table.name}: no arm uses it")
            continue
        mark = images_mark(table)
        sets = _read(table, normal=table.normal)
        outliers = _outliers(table, mine, sets)
        shared = {name: backend.share(found.train, folder=folder, name="train") for name, found in outliers.items()}
        for normal_set in sets:
            images[table.name, normal_set.normal] = _share(normal_set, backend, folder, shared)
            _list_tested(normal_set, folder)
            cells += _cells(plan, mine, normal_set, mark)
    cells.sort(key=lambda cell: plan.study.seeds.index(cell.seed))
    return Prepared(experiment=experiment, cells=cells, images=images, left_out=left_out)


def testbed_settings(table: DataTable) -> TestbedSettings:
    """Return what a data table asks of the testbeds."""
    return TestbedSettings(
        tasks=tuple(table.tasks),
        normal=tuple(table.normal),
        anomalies=tuple(table.anomalies),
        size=table.size,
        train_limit=table.train_limit,
        test_limit=table.test_limit,
        contamination=table.contamination,
        anomaly_share=table.anomaly_share,
    )


def images_mark(table: DataTable) -> str:
    """Return the hash of a data set's files and of how they are prepared, but for which classes play normal."""
    assert table.path is not None
    settings = asdict(replace(testbed_settings(table), normal=()))
    text = json.dumps([fingerprint(table.path, name=table.name), settings, table.seed, table.name])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(table: DataTable, *, normal: Sequence[str]) -> list[NormalSet]:
    assert table.path is not None
    settings = replace(testbed_settings(table), normal=tuple(normal))
    return normal_sets(table.path, name=table.name, settings=settings, seed=table.seed)


def _outliers(table: DataTable, arms: list[Arm], sets: list[NormalSet]) -> dict[str, NormalSet]:
    """Return the normal set of every class that an arm exposes its detector to."""
    needed = {arm.augmentation.removeprefix("oe-") for arm in arms if arm.augmentation.startswith("oe-")}
    found = {each.normal: each for each in sets if each.normal in needed}
    missing = sorted(needed - found.keys())
    return found | {each.normal: each for each in (_read(table, normal=missing) if missing else [])}


def _share(normal_set: NormalSet, backend: Backend, folder: Path, outliers: dict[str, Shared]) -> Images:
    """Hand the arrays of a normal set to the workers by reference; the pictures that sets share are shared once."""
    pictures = normal_set.pictures
    bare = replace(pictures, pixels=pictures.pixels[:0], masks=None, ids=())
    return Images(
        described=replace(normal_set, train=normal_set.train[:0], pictures=bare),
        train=backend.share(normal_set.train, folder=folder, name="train"),
        pixels=backend.share(pictures.pixels, folder=folder, name="test"),
        masks=None if pictures.masks is None else backend.share(pictures.masks, folder=folder, name="masks"),
        outliers=outliers,
    )


def _list_tested(normal_set: NormalSet, folder: Path) -> None:
    """Write down which image each place of a cell's arrays of scores belongs to, and its kind."""
    name = hashlib.sha256(f"{normal_set.data}/{normal_set.normal}".encode()).hexdigest()[:16]
    kinds = [normal_set.names[kind] for kind in normal_set.kinds]
    listed = {"data": normal_set.data, "normal": normal_set.normal, "ids": normal_set.ids, "kinds": kinds}
    write_text(folder / f"tested-{name}.json", json.dumps(listed))


def _cells(plan: Plan, arms: list[Arm], normal_set: NormalSet, mark: str) -> list[Cell]:
    each_task = [task_name(task) for task in normal_set.tasks]
    return [
        Cell(
            detector=arm.detector,
            kind=plan.kind(arm.detector),
            settings=settings_of_arm(plan, arm),
            augmentation=arm.augmentation,
            data=arm.data,
            normal=normal_set.normal,
            seed=seed,
            images=mark,
            task=task,
            tune_pool=plan.pool(),
            close_up=seed == plan.study.seeds[0],
        )
        for seed in plan.study.seeds
        for arm in arms
        for task in (each_task if learns_from_unlabelled(plan.kind(arm.detector)) else [""])
    ]
