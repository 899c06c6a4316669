"""A run in memory, ready to score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from feint.app.limits import Limits
from feint.app.messages import Calibration, ModelCard
from feint.core.files import sha256_of
from feint.runs.model import MANIFEST, Model
from feint.runs.run import Run


@final
@dataclass(frozen=True, eq=False)
class Served:
    """A run and its model; a request holds on to the one it began with."""

    run: Run
    model: Model
    sha256: str

    @classmethod
    def load(cls, path: Path) -> Served:
        """Return the run that `path` leads to now, after it has scored a black image: the first request finds it warm.

        Raises: InputError where it is no run, IntegrityError where it is damaged.
        """
        run = Run(path.resolve())
        model = run.model
        for member in model.members:
            shape = member.preprocessing
            member.scores(np.zeros((1, shape.channels, shape.height, shape.width), np.uint8))
        return cls(run, model, sha256_of(run.path / MANIFEST))

    @property
    def name(self) -> str:
        """What answers call this model."""
        return self.sha256[:12]

    def card(self, limits: Limits) -> ModelCard:
        """Return what may be told of the run: none of its paths."""
        record = self.run.record
        found = record.calibration
        return ModelCard(
            sha256=self.sha256,
            created=record.created,
            feint=record.versions.get("feint", "unknown"),
            choice=record.choice.sentence,
            preprocessing=[member.preprocessing for member in self.model.members],
            calibration=Calibration(
                images=found.images,
                mode=found.mode,
                rate=found.rate,
                threshold=found.threshold,
                guarantee=found.guarantee,
            ),
            limits=limits,
        )
