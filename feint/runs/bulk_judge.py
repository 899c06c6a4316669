"""A saved run as the judge of a bulk job; torch is imported when it is opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np

from feint.backends import limit_threads
from feint.core.files import sha256_of
from feint.runs.bulk_worker import Inputs, Judging
from feint.runs.run import Run

if TYPE_CHECKING:
    from feint.runs.model import Model


def open_run(folder: Path) -> RunJudge:
    """Open the model of a run with one thread, in this process then and afterwards, so that all workers agree.

    Raises: InputError where `folder` is no run, IntegrityError where it is damaged.
    """
    limit_threads(1)
    from feint.runs.model import MANIFEST

    return RunJudge(Run(folder).model, sha256_of(folder / MANIFEST))


@final
class RunJudge:
    """The model of a run; see `feint.runs.bulk_worker.Judge`."""

    def __init__(self, model: Model, sha256: str) -> None:
        self._model = model
        self.preprocessings = list(dict.fromkeys(each.preprocessing for each in model.members))
        # With several members the joint score is on no member's scale.
        reference = model.members[0].calibration if len(model.members) == 1 else np.empty(0)
        self.about = Judging(sha256, model.mode, model.rate, tuple(reference.tolist()))

    def __call__(self, inputs: Sequence[Inputs]) -> tuple[np.ndarray, np.ndarray]:
        """Return score and p-value (n,)."""
        of = dict(zip(self.preprocessings, inputs, strict=True))
        scores = [each.scores(of[each.preprocessing]) for each in self._model.members]
        return self._model.judge(scores)[:2]
