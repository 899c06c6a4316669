"""Detectors of the library PyOD on the pooled features of an encoder, or on pixels."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, final

import numpy as np
import torch
from torch import Tensor, nn

from feint.core.augmentation import PseudoAnomalies
from feint.core.detector import Log
from feint.core.errors import CollapseError, SettingError
from feint.core.streams import seed_of
from feint.detectors.adapters.surroundings import settings_of, surroundings
from feint.detectors.encoders import EncoderDetector
from feint.detectors.features import FeatureScorer, fitted_scorer, pooled_features
from feint.networks.conv import pooled
from feint.networks.pretrained import Network, Pixels

PROBES = 4


@final
class PyODDistance(nn.Module):
    """The score of a fitted PyOD detector; it is no tensor, so that this module refuses to give a `state_dict`.

    Some detectors (ECOD, COPOD) count the scored images among the known ones, so that a score would depend on its
    batch. Where a probe at the end of the fit shows that, images are scored one by one.
    """

    def __init__(self, detector: Any, features: np.ndarray[Any, Any], *, name: str, seed: int) -> None:
        super().__init__()
        self.detector, self.name, self.seed = detector, name, seed
        self.together = True
        probes = features[:PROBES]
        alone = np.concatenate([self._scored(probe[None]) for probe in probes])
        self.together = bool(np.allclose(self._scored(probes), alone, rtol=1e-6, atol=1e-12))

    def forward(self, features: Tensor) -> Tensor:
        """Return scores (n,), higher = more anomalous, for features (n, d)."""
        rows = features.detach().cpu().double().numpy()
        groups = [rows] if self.together else np.split(rows, len(rows))
        return torch.from_numpy(np.concatenate([self._scored(group) for group in groups])).float().to(features.device)

    def _scored(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with surroundings(self.seed, "pyod scores"):
            scores = np.asarray(self.detector.decision_function(rows), dtype=np.float64).ravel()
        if len(scores) != len(rows) or not np.isfinite(scores).all():
            raise CollapseError(f"PyOD's {self.name} gave no finite score for each of {len(rows)} images.")
        return scores

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> NoReturn:  # noqa: ARG002
        raise SettingError(f"PyOD's {self.name} is no set of tensors and cannot be saved: fit it again.")


@final
@dataclass(frozen=True, kw_only=True)
class PyOD(EncoderDetector[FeatureScorer]):
    """A detector of PyOD, fitted on pooled features as `FeatureKNN` sees them; its score keeps PyOD's direction.

    The scorer cannot be saved: `state_dict` raises SettingError. Maps are those of `FeatureScorer`, whatever the
    detector, which knows no places.

    Args:
        detector: a class of `pyod.models`, by name: "ECOD", "KNN", "IForest", "LOF", ...
        settings: of its constructor, as a JSON object; `random_state`, where it has one, follows the seed.
        encoder: as for `EncoderDetector`, or "pixels": raw pixels.

    Fails when: the detector needs more images than there are, or fewer features.
    Cost: one pass of the encoder for every image, and the detector's own.
    Raises: SettingError without the extra `pyod`, for an unknown detector or settings that it does not take;
    CollapseError where scores are not finite.
    References: Zhao, Nasrullah, Li (JMLR 2019), PyOD, arXiv:1901.01588.
    Deviations: see `PyODDistance` for detectors whose score depends on the batch.
    """

    ENCODERS: ClassVar[tuple[str, ...]] = (*EncoderDetector.ENCODERS, "pixels")

    detector: str = "ECOD"
    settings: str = "{}"

    def __post_init__(self) -> None:
        EncoderDetector.__post_init__(self)
        settings_of("PyOD", self.settings)

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> FeatureScorer:
        detector = self._made(seed)
        encoder, pool = self._encoder(normals, policy, seed, log), pixels if self.encoder == "pixels" else pooled
        features = pooled_features(encoder, normals, pool=pool).double().numpy()
        try:
            with surroundings(seed, "pyod"):
                detector.fit(features)
        except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
            raise SettingError(
                f"PyOD's {self.detector} cannot be fitted on {features.shape[0]} images with {features.shape[1]} "
                f"features: {error}"
            ) from error
        distance = PyODDistance(detector, features, name=self.detector, seed=seed)
        return fitted_scorer(normals, encoder, distance, pool=pool)

    def _network(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> tuple[Network, int]:
        if self.encoder == "pixels":
            return Pixels(), normals.shape[1]
        return EncoderDetector._network(self, normals, policy, seed, log)

    def _made(self, seed: int) -> Any:
        with surroundings(seed, "pyod import"):
            kind = _class_named(self.detector)
            settings = settings_of("PyOD", self.settings)
            known = inspect.signature(kind).parameters
            unknown = [name for name in settings if name not in known]
            if unknown:
                raise SettingError(
                    f"PyOD's {self.detector} has no setting {', '.join(unknown)}: it has {', '.join(known)}."
                )
            if "random_state" in known:
                settings.setdefault("random_state", seed_of(seed, "pyod") % 2**31)
            return kind(**settings)


def pixels(maps: list[Tensor]) -> Tensor:
    """Return the pixels (n, d) of the images that are the only map."""
    return maps[0].flatten(1)


def _class_named(name: str) -> Any:
    try:
        import pyod  # noqa: F401
    except ImportError as error:
        raise SettingError("pyod is not installed: pip install 'feint[pyod]'.") from error
    for module in (name.lower(), re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()):
        try:
            found = getattr(importlib.import_module(f"pyod.models.{module}"), name, None)
        except ModuleNotFoundError as error:
            if error.name != f"pyod.models.{module}":
                raise SettingError(f"PyOD's {name} needs {error.name}, which is not installed.") from error
            continue
        if found is not None:
            return found
    raise SettingError(f"PyOD has no detector {name!r}: give the name of a class, such as ECOD, KNN, IForest or LOF.")
