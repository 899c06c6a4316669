"""export.json: everything about an exported model but the graph itself, and the check that nothing was changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feint.core.errors import InputError, IntegrityError
from feint.core.files import sha256_of, write_text
from feint.records.run import PreprocessingRecord

Kind = Literal["onnx", "openvino", "torch-export"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FORMAT = 2
MANIFEST = "export.json"
FILES: dict[Kind, tuple[str, ...]] = {
    "onnx": ("model.onnx",),
    "openvino": ("model.xml", "model.bin"),
    "torch-export": ("model.pt2",),
}
"""The files of each format, that which is opened first."""

IMAGES = "images"
SCORE, LABEL, MAP, P_VALUE = OUTPUTS = ("pred_score", "pred_label", "anomaly_map", "p_value")
"""What the graph takes (of several inputs, the first) and gives; all but `p_value` are called as in anomalib."""


class ParityRecord(BaseModel):
    """How far the exported graph was from the run, on the images on which both were compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="where the images came from; 'generated' where there were no real ones")
    images: int
    flagged: int = Field(description="by both alike")
    score: float = Field(description="largest difference of scores, relative to the score or to its usual spread")
    map: float = Field(description="largest difference of maps, relative to the map's value or to its usual range")
    p_value: float = Field(description="largest difference of p-values")


class ExportManifest(BaseModel):
    """What a program needs to know of an exported model, and what it was made with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    kind: Kind
    versions: dict[str, str] = Field(description="of feint and of the libraries that made the graph")
    inputs: dict[str, PreprocessingRecord] = Field(
        min_length=1, description="by name and in the graph's order, how any image becomes each of its inputs"
    )
    mode: Literal["false_alarm_rate", "fdr"]
    rate: float
    map_scale: tuple[float, float] = Field(description="map values that are shown as 0 and as 255")
    calibration: int = Field(description="calibration normals behind the p-values, which are multiples of 1/(n + 1)")
    drift_reference: list[float] = Field(description="calibration scores with which drift is found; none: it is not")
    parity: ParityRecord
    files: dict[str, str] = Field(description="sha256 of each file")
    own_sha256: str = ""

    def digest(self) -> str:
        """Return the sha256 of everything here but itself."""
        return hashlib.sha256(self.model_dump_json(exclude={"own_sha256"}).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write it into `folder`, sealed with its own sha256."""
        sealed = self.model_copy(update={"own_sha256": self.digest()})
        write_text(folder / MANIFEST, sealed.model_dump_json(indent=2))


def named_inputs(preprocessings: Sequence[PreprocessingRecord]) -> dict[str, PreprocessingRecord]:
    """Return preprocessings of different sizes by the names of the graph's inputs, in their order.

    Example:
        >>> sizes = [PreprocessingRecord(channels=1, height=h, width=64, white=255) for h in (64, 96)]
        >>> list(named_inputs(sizes))
        ['images', 'images_96x64']
    """
    first, *others = preprocessings
    return {IMAGES: first} | {f"{IMAGES}_{each.height}x{each.width}": each for each in others}


def is_export(folder: Path) -> bool:
    """Tell whether `folder` holds an exported model."""
    return (folder / MANIFEST).is_file()


def read_export(folder: Path) -> ExportManifest:
    """Return the manifest of an exported model whose files are those that were written.

    Raises: InputError where `folder` is no exported model; IntegrityError where a file is missing, cut short, swapped
    or changed, or was written by another version.
    """
    if not is_export(folder):
        raise InputError(f"{folder} is not an exported model: it has no {MANIFEST}. Make one with feint export.")
    manifest = _read(folder / MANIFEST)
    if set(manifest.files) != set(FILES[manifest.kind]):
        raise IntegrityError(f"{folder / MANIFEST} names other files than {', '.join(FILES[manifest.kind])}.")
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise IntegrityError(f"{path} is missing: the exported model is not complete. Copy the whole folder.")
        found = sha256_of(path)
        if found != expected:
            raise IntegrityError(
                f"{path} is not the file that belongs to this export: sha256 {found[:12]}... instead of "
                f"{expected[:12]}... It was swapped, cut short or changed. Copy the whole folder, or export again."
            )
    return manifest


def _read(path: Path) -> ExportManifest:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("format") != FORMAT:
            raise IntegrityError(
                f"{path} has format {content.get('format')!r}, this version of Feint reads {FORMAT}: export again."
            )
        manifest = ExportManifest.model_validate(content)
    except (UnicodeDecodeError, json.JSONDecodeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise IntegrityError(f"{path} was cut short or changed: {reason}. Copy it again, or export again.") from error
    if manifest.digest() != manifest.own_sha256:
        raise IntegrityError(f"{path} was changed after it was written. Copy it again, or export again.")
    return manifest
