"""A saved detector: scorers, their calibration, and how an image becomes their input. Loading never unpickles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from feint.calibration.conformal import cross_conformal_p_values, p_values
from feint.calibration.decision import decide
from feint.core.detector import Scorer, as_unit, device_of, score_images
from feint.core.errors import IntegrityError
from feint.core.files import atomic, sha256_of, write_text
from feint.data.grey_maps import grey_maps
from feint.detectors.committee import Committee
from feint.records.run import PreprocessingRecord
from feint.runs.recipes import Voters

FORMAT = 2
WEIGHTS, MANIFEST = "model.safetensors", "manifest.json"


class MemberManifest(BaseModel):
    """One committee of a model: what it needs to be rebuilt and to be compared with its siblings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    voters: Voters
    preprocessing: PreprocessingRecord


class Manifest(BaseModel):
    """manifest.json: everything about the model but its numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    feint: str
    members: list[MemberManifest]
    mode: Literal["false_alarm_rate", "fdr"]
    rate: float
    map_scale: tuple[float, float]
    sha256: str
    own_sha256: str = ""

    def digest(self) -> str:
        """Return the sha256 of everything here but itself."""
        return hashlib.sha256(self.model_dump_json(exclude={"own_sha256"}).encode()).hexdigest()


@dataclass(frozen=True)
class Member:
    """A committee with the scores of its calibration normals, which no training and no choice has seen."""

    scorer: Committee
    calibration: np.ndarray
    voters: Voters
    preprocessing: PreprocessingRecord

    @torch.no_grad()
    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Return anomaly scores (n,) of uint8 images (n, c, h, w)."""
        return pixel_scores(self.scorer, pixels)

    @torch.no_grad()
    def maps(self, pixels: np.ndarray) -> np.ndarray:
        """Return anomaly maps (n, h, w) of uint8 images (n, c, h, w)."""
        device = device_of(self.scorer)
        return self.scorer.map(as_unit(torch.from_numpy(np.ascontiguousarray(pixels))).to(device)).cpu().numpy()


@dataclass(frozen=True)
class Model:
    """One committee, or several that were cross-fitted.

    With one, the score is its own. With several it is the mean of theirs, each standardised by the median and the
    quartiles of its own calibration normals, and p-values are cross-conformal.
    """

    members: tuple[Member, ...]
    mode: Literal["false_alarm_rate", "fdr"]
    rate: float
    map_scale: tuple[float, float]

    def judge(self, scores: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return score, p-value and flag (n,) from each member's scores (n,)."""
        joint, p = calibrated([each.calibration for each in self.members], scores)
        return joint, p, self.flags(p)

    def flags(self, p: np.ndarray) -> np.ndarray:
        """Return which p-values (n,) are flagged at the model's rate."""
        if not len(p):
            return np.zeros(0, dtype=bool)
        return decide(p, false_alarm_rate=self.rate) if self.mode == "false_alarm_rate" else decide(p, fdr=self.rate)

    def grey_maps(self, maps: np.ndarray) -> np.ndarray:
        """Return anomaly maps (n, h, w) of the first member as uint8: 0 ordinary, 255 clearly unusual."""
        return grey_maps(maps, self.map_scale)

    @property
    def calibration_scores(self) -> np.ndarray:
        """All calibration scores on the scale of `judge`'s score."""
        if len(self.members) == 1:
            return self.members[0].calibration
        return np.concatenate([standardise(each.calibration, each.calibration) for each in self.members])

    def save(self, folder: Path, *, version: str) -> None:
        """Write model.safetensors and manifest.json into `folder`."""
        tensors = {}
        for k, member in enumerate(self.members):
            for name, value in member.scorer.state_dict().items():
                tensors[f"member{k}.scorer.{name}"] = value.cpu().contiguous()
            tensors[f"member{k}.calibration"] = torch.from_numpy(np.asarray(member.calibration, dtype=np.float64))
        with atomic(folder / WEIGHTS) as temporary:
            temporary.write_bytes(save(tensors))
        manifest = Manifest(
            feint=version,
            members=[MemberManifest(voters=each.voters, preprocessing=each.preprocessing) for each in self.members],
            mode=self.mode,
            rate=self.rate,
            map_scale=self.map_scale,
            sha256=sha256_of(folder / WEIGHTS),
        )
        sealed = manifest.model_copy(update={"own_sha256": manifest.digest()})
        write_text(folder / MANIFEST, sealed.model_dump_json(indent=2))

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read a saved model; raises IntegrityError where a file is missing, cut short or changed."""
        manifest = _read_manifest(folder / MANIFEST)
        weights = folder / WEIGHTS
        if not weights.is_file():
            raise IntegrityError(
                f"{weights} is missing: the run is not complete. Copy the whole folder, or tune again."
            )
        found = sha256_of(weights)
        if found != manifest.sha256:
            raise IntegrityError(
                f"{weights} is not the file that this run wrote: sha256 {found[:12]}... instead of "
                f"{manifest.sha256[:12]}... It was cut short or changed. Copy it again, or tune again."
            )
        try:
            tensors = load_file(weights)
            members = tuple(_rebuild(k, each, tensors) for k, each in enumerate(manifest.members))
        except (SafetensorError, RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise IntegrityError(f"{weights} does not fit {folder / MANIFEST}: {reason}. Tune again.") from error
        return cls(members=members, mode=manifest.mode, rate=manifest.rate, map_scale=manifest.map_scale)


def pixel_scores(scorer: Scorer, pixels: np.ndarray) -> np.ndarray:
    """Return anomaly scores (n,) of uint8 images (n, c, h, w)."""
    if not len(pixels):
        return np.zeros(0, dtype=np.float32)
    found: np.ndarray = score_images(scorer, torch.from_numpy(np.ascontiguousarray(pixels))).numpy()
    return found


def calibrated(calibrations: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return joint score and p-value (n,) from the scores (n,) of each of several models and their calibrations."""
    if len(scores) == 1:
        return scores[0], p_values(calibrations[0], scores[0])
    joint = [standardise(s, c) for s, c in zip(scores, calibrations, strict=True)]
    return np.mean(joint, axis=0), cross_conformal_p_values(list(calibrations), np.stack(scores))


def standardise(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return scores in units of the reference's quartile distance from its median."""
    low, middle, high = np.quantile(reference, [0.25, 0.5, 0.75])
    standardised: np.ndarray = (scores - middle) / max(float(high - low), 1e-12)
    return standardised


def _rebuild(k: int, manifest: MemberManifest, tensors: dict[str, torch.Tensor]) -> Member:
    shape = manifest.preprocessing
    scorer = manifest.voters.empty(shape.channels, (shape.height, shape.width))
    prefix = f"member{k}.scorer."
    scorer.load_state_dict({n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)})
    return Member(scorer, tensors[f"member{k}.calibration"].numpy(), manifest.voters, manifest.preprocessing)


def _read_manifest(path: Path) -> Manifest:
    if not path.is_file():
        raise IntegrityError(f"{path} is missing: {path.parent} is not a run that feint tune wrote.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("format") != FORMAT:
            raise IntegrityError(
                f"{path} has format {content.get('format')!r}, this version of Feint reads {FORMAT}: use the version "
                f"that wrote it ({content.get('feint', 'unknown')})."
            )
        manifest = Manifest.model_validate(content)
    except (UnicodeDecodeError, json.JSONDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise IntegrityError(f"{path} was cut short or changed: {reason}. Copy it again, or tune again.") from error
    if manifest.digest() != manifest.own_sha256:
        raise IntegrityError(f"{path} was changed after this run wrote it. Copy it again, or tune again.")
    return manifest
