"""The work of a refit: the voters of a finished run, and one more that learns from marked images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch

from feint.core.detector import Scorer, score_images
from feint.core.errors import InputError
from feint.detectors.committee import Committee, unit_of
from feint.detectors.marked import softened
from feint.runs.committee_jobs import MAPPED, CommitteeJob, map_unit_of
from feint.runs.jobs import JobLog, score_rows
from feint.runs.model import Member, Model
from feint.runs.recipes import Recipe, folds_of

TOLERANCE = 1e-3


@final
@dataclass(frozen=True, kw_only=True)
class RefitJob(CommitteeJob):
    """One member of a run with a voter that learns from marks. Leaves `<id>.safetensors`, as a `FinalJob` does.

    The old voters stay as they are. The new one is fitted on the training normals and the marked images; the selection
    normals give it its unit, in which few marks speak softly.

    Args:
        run: the old run's folder. member: which of its models. split_seed: under which that run divided its pool.
        marked_normal, marked_anomalous: rows of unlabelled images. calibration: rows of that member's calibration
            normals, whose scores tell whether these still are the images that the run was made of.
    """

    run: Path
    member: int
    split_seed: int
    marked_normal: np.ndarray
    marked_anomalous: np.ndarray
    calibration: np.ndarray

    @property
    def ticks(self) -> int:
        """Lines this job will log: too few to tell how far it is."""
        return 0

    @property
    def learner(self) -> Recipe:
        """The voter that learns from the marks: the last one."""
        return self.voters.recipes[-1]

    def execute(self, jobs: Path, logs: Path) -> None:
        """Fit the new voter, seat it in every committee, and score."""
        of = self.material
        member = Model.load(self.run).members[self.member]
        self._refuse_other_images(member)
        folds, committees = torch.zeros(self.images, dtype=torch.long), [member.scorer]
        if self.voters.folds > 1:
            committees = [each for each in member.scorer.members if isinstance(each, Committee)]
            folds[of.pool] = folds_of(of.unlabelled.rows(of.pool), seed=self.split_seed)
        with JobLog(logs / f"{self.id}.jsonl", self.id) as log:
            seated = [self._seated(each, log) for each in committees]
        self.write(seated, folds, judged=np.empty(0, dtype=np.int64), jobs=jobs)

    def _seated(self, committee: Committee, log: Callable[..., None]) -> Committee:
        """Return the committee with the new voter in the last seat, in place of an earlier one of its kind."""
        of, kept = self.material, len(self.voters.recipes) - 1
        members = [each for each in committee.members if isinstance(each, Scorer)][:kept]
        read = zip(members, self.voters.recipes[:kept], strict=True)
        readers = [each for each, recipe in read if recipe in self.learner.readers]
        normals = torch.cat([of.normal.rows(of.training), of.unlabelled.rows(self.marked_normal)])
        voter = self.learner.fit_marked(
            readers, normals, of.unlabelled.rows(self.marked_anomalous),
            log=lambda step, loss: log(step=step, training_loss=loss),
        )  # fmt: skip
        unit = unit_of(score_images(voter, of.normal.rows(of.held_out)))
        units, map_units = ([(float(c), float(s)) for c, s in each] for each in (committee.units, committee.map_units))
        return Committee(
            [*members, voter],
            units=[*units[:kept], softened(unit, len(self.marked_anomalous))],
            map_units=[*map_units[:kept], map_unit_of(voter, normals[:MAPPED])],
        )

    def _refuse_other_images(self, member: Member) -> None:
        """Raise InputError where the run's detector scores its calibration normals otherwise than it once did."""
        found = score_rows(member.scorer, self.material.normal, self.calibration).numpy()
        if len(found) != len(member.calibration) or not np.allclose(
            found, member.calibration, rtol=TOLERANCE, atol=TOLERANCE
        ):
            raise InputError(
                f"{self.run} scores its calibration images otherwise than when it was made: it is of another version "
                "of Feint, or its settings were changed. Tune again, then refit."
            )
