"""An exported model as the judge of a bulk job: no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from feint.core.files import sha256_of
from feint.export.manifest import MANIFEST, ExportManifest, read_export
from feint.export.runtimes import Runtime, open_runtime
from feint.export.scoring import exact_p_values
from feint.runs.bulk_worker import Inputs, Judging


def open_export(folder: Path) -> ExportJudge:
    """Open an exported model with one thread.

    Raises: InputError where `folder` is none, IntegrityError where it is damaged, SettingError without its runtime.
    """
    manifest = read_export(folder)
    if manifest.kind == "torch-export":
        from feint.backends import limit_threads

        limit_threads(1)
    return ExportJudge(
        manifest, open_runtime(folder, manifest.kind, threads=1, joint=False), sha256_of(folder / MANIFEST)
    )


@final
class ExportJudge:
    """An exported model; see `feint.runs.bulk_worker.Judge`."""

    def __init__(self, manifest: ExportManifest, runtime: Runtime, sha256: str) -> None:
        self._calibration, self._runtime = manifest.calibration, runtime
        self.preprocessings = list(manifest.inputs.values())
        self.about = Judging(sha256, manifest.mode, manifest.rate, tuple(manifest.drift_reference))

    def __call__(self, inputs: Sequence[Inputs]) -> tuple[np.ndarray, np.ndarray]:
        """Return score and p-value (n,)."""
        found = self._runtime(*inputs)
        return found.scores, exact_p_values(found.p_values, self._calibration)
