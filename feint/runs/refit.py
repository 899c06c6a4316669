"""From a finished run and marks to a new run: learn from the marks, calibrate anew, compare old and new."""

from __future__ import annotations

import datetime
import json
import shlex
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np

from feint.backends import available_cores, open_backend
from feint.core.files import sha256_of, told, write_text
from feint.records.refit import RefitRecord, Roles
from feint.records.run import CandidateRecord, PhaseRecord, RunRecord, ShareRecord, WarningRecord
from feint.runs.carrying_out import Crew
from feint.runs.judging import Judged, Verdict, judge, ranked
from feint.runs.model import WEIGHTS
from feint.runs.preparing import Prepared
from feint.runs.progress import Monitor, Phases, Silent
from feint.runs.recipes import MARKED, Recipe, Voters
from feint.runs.refit_images import reopened, settings_of, without
from feint.runs.refit_job import RefitJob
from feint.runs.refit_judging import Parent, refit_record
from feint.runs.refit_marks import Known, divide
from feint.runs.run import REFIT, Run
from feint.runs.scored import score_table
from feint.runs.settings import TuneSettings
from feint.runs.splits import halves
from feint.runs.workspace import Workspace
from feint.runs.writing import write_detector

VOTER = "marks"
BEFORE = "One more voter learned from marks. Before that it was said: "
SEVERAL = ("rate-fell-back", "fdr-power", "together", "refit")


def refit(run: Run, marks: Mapping[str, int], *, out: Path, seed: int = 0, monitor: Monitor | None = None) -> Run:
    """Return a new run: the old one's voters with one more that learned from marked images, calibrated anew.

    A third of the marks of each kind is kept apart, and old and new are compared on these: `refit.json`, a
    `RefitRecord`. The candidates that the old run has weighed stay with it.

    Args:
        run: what `feint tune` wrote, or a refit; the images it was made of must still be there.
        marks: 0 (normal) or 1 (anomalous) by path, as in the run's scores.csv.
        out: the folder to make; it must not exist. seed: same seed, same machine: same scores to the last bit.
        monitor: is told about progress.

    Raises: InputError for marks that cannot be used or images that have changed, IntegrityError where the run is
    damaged, OutputError, CollapseError, WorkerError.
    Cost: a minute on one core with some hundred images of 64 px.
    """
    space = Workspace(out)
    with closing(space.open(resume=False)):
        try:
            _refit(run, marks, seed, space, monitor or Silent())
        except BaseException as error:
            space.discard()
            if isinstance(error, OSError):
                raise told(error, space.path) from error
            raise
        space.finish()
    return Run(space.out)


def _refit(run: Run, marks: Mapping[str, int], seed: int, space: Workspace, monitor: Monitor) -> None:
    phases, settings = Phases(monitor), settings_of(run)
    known = Known.of(run)
    roles = divide(marks, known, seed=seed)
    with phases("reading images"):
        whole = reopened(run, settings, space=space, monitor=monitor)
    data = _uncontradicted(whole, known.alike(roles.fitted_anomalous))
    parent = Parent(str(run.path), sha256_of(run.path / WEIGHTS))
    with open_backend(min(available_cores(), len(data.rotations))) as backend:
        crew = Crew(backend, space, monitor)
        with phases("learning from the marks"):
            jobs = _jobs(run, whole, data, roles=roles, known=known, settings=settings, seed=seed)
            crew.carry_out(jobs)
        with phases("calibrating and judging"):
            learned = known.alike(roles.fitted)
            verdict = judge(data, settings, jobs, crew, learned=learned)
            normals = _normals(run, whole, data, verdict, seed=settings.seed)
            found = verdict.unlabelled
            table = score_table(list(data.unlabelled_names), found.scores, found.p_values, found.flagged)
            compared = refit_record(run.scores, table, roles, known=known, parent=parent, seed=seed)
        with phases("writing the report"):
            record = _record(run.record, verdict, compared, phases=phases.records)
            write_text(space.result / REFIT, json.dumps(compared.model_dump(mode="json"), indent=2))
            write_detector(record, data=data, finals=jobs, verdict=verdict, normals=normals, crew=crew)


def _uncontradicted(data: Prepared, anomalous: frozenset[str]) -> Prepared:
    """Return the data without the normal images whose copies are among the `anomalous` ones."""
    marked = {row for row, name in enumerate(data.unlabelled_names) if name in anomalous}
    contradicted = marked & data.twins.keys()
    groups = {data.groups[data.twins[row]] for row in contradicted}
    rows = np.flatnonzero(np.isin(data.groups, list(groups)))
    return without(data, rows, contradicted=contradicted)


def _jobs(
    run: Run, whole: Prepared, data: Prepared, *, roles: Roles, known: Known, settings: TuneSettings, seed: int
) -> list[RefitJob]:
    """Return the work of each rotation."""
    rows = {name: i for i, name in enumerate(data.unlabelled_names)}
    normal, anomalous = (
        np.array([rows[name] for name in known.different(names)], dtype=np.int64)
        for names in (roles.fitted_normal, roles.fitted_anomalous)
    )
    jobs = []
    for r, member in enumerate(run.model.members):
        px = next(px for px, each in data.preprocessing.items() if each == member.preprocessing)
        kept = [each for each in member.voters.recipes if not each.learns_from_marks]
        readers = tuple(each for each in kept if not each.learns_from_pool) or tuple(kept)
        learner = Recipe(detector=MARKED, readers=readers)
        jobs.append(
            RefitJob(
                id=f"refit-{r}",
                material=data.material(px, r),
                seed=seed,
                voters=Voters(recipes=[*kept, learner]),
                images=len(rows),
                run=run.path,
                member=r,
                split_seed=settings.seed,
                marked_normal=normal,
                marked_anomalous=anomalous,
                calibration=whole.rotations[r].calibration,
            )
        )
    return jobs


def _normals(run: Run, whole: Prepared, data: Prepared, verdict: Verdict, *, seed: int) -> Judged:
    """Return every normal image as the new detector ranks it where it calibrates, elsewhere as the old run did."""
    names = {name: i for i, name in enumerate(whole.normal_names)}
    old = np.zeros(len(names))
    old[[names[path] for path in run.normals.path]] = run.normals.score
    groups = [
        (roles.calibration, member.calibration)
        for roles, member in zip(data.rotations, verdict.model.members, strict=True)
    ]
    others = halves(whole.rotations[0], whole.groups, seed=seed) if len(groups) == 1 else ()
    left = np.setdiff1d(np.arange(len(old)), np.concatenate([rows for rows, _ in groups] + list(others)))
    groups += [(rows, old[rows]) for rows in (*others, left) if len(rows)]
    return ranked(verdict.model, groups, len(old))


def _record(old: RunRecord, verdict: Verdict, refitted: RefitRecord, *, phases: list[PhaseRecord]) -> RunRecord:
    """Return the record of the new run: the old one's, with one more voter and what was found now.

    How many images are anomalous was estimated for the old voters and all images, and is not told again.
    """
    voters = len(verdict.model.members[0].voters.recipes)
    others = [each for each in old.choice.shares if each.candidate != VOTER]
    total = sum(each.weight for each in others)
    shares = [each.model_copy(update={"weight": each.weight / total * (voters - 1) / voters}) for each in others]
    shares.append(ShareRecord(candidate=VOTER, augmentation="none", magnitudes={}, weight=1 / voters))
    marked = CandidateRecord(
        name=VOTER, kind="marked", augmentation="none", magnitudes={}, size=old.choice.size, criterion=None,
        excess_95=None, excess_99=None, estimated_auroc=None, gap=None,
        note="learned from marked images; compared with the old detector in refit.json",
    )  # fmt: skip
    kept = [each for each in old.warnings if each.code not in SEVERAL]
    told = WarningRecord(code="refit", message=f"This run has seen marks. {refitted.sentence}")
    return old.model_copy(
        update={
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "command": shlex.join(
                ["feint", "refit", refitted.parent, "MARKS", "--out", "RUN", "--seed", str(refitted.seed)]
            ),
            "candidates": [each for each in old.candidates if each.name != VOTER] + [marked],
            "choice": old.choice.model_copy(
                update={
                    "shares": shares,
                    "sentence": BEFORE + old.choice.sentence.removeprefix(BEFORE),
                    "anomalous_share": None,
                }
            ),
            "calibration": verdict.calibration,
            "found": verdict.found,
            "phases": phases,
            "label_reads": old.label_reads + 1,
            "warnings": [told, *kept, *verdict.warnings],
        }
    )
