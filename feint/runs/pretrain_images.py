"""The images of a pretraining: opened, decoded into the workspace, and refused where nothing can be learnt of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feint import __version__
from feint.backends import available_cores
from feint.core.errors import InputError
from feint.data import Decoded, Survey, decode, open_images, plan_preprocessing, survey
from feint.networks.architectures import TRANSFORMERS, fitting_size, patch_of
from feint.records.run import ImagesRecord, PreprocessingRecord, WarningRecord
from feint.runs.preparing import ImagesLike, images_record
from feint.runs.pretrain_settings import PretrainSettings
from feint.runs.progress import Monitor
from feint.runs.workspace import Workspace

PIXELS = "images.npy"
MANY_COPIES = 0.2


@dataclass(frozen=True)
class Prepared:
    """What is known of the images of a pretraining; `encoder` is the full name of the one that fits their size.

    Their pixels lie in the file `path`.
    """

    path: Path
    encoder: str
    preprocessing: PreprocessingRecord
    images: ImagesRecord
    warnings: list[WarningRecord]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.preprocessing.height, self.preprocessing.width

    def pixels(self) -> NDArray[np.uint8]:
        """Return the images (n, c, h, w), mapped from their file."""
        found: NDArray[np.uint8] = np.load(self.path, mmap_mode="r")
        return found[: self.images.images]


def prepare(images: ImagesLike, settings: PretrainSettings, space: Workspace, monitor: Monitor) -> Prepared:
    """Decode the images into the workspace, which is claimed for them and these settings.

    Raises: InputError where no two different images can be read.
    """
    monitor.phase("reading images")
    opened = open_images(images, role="unlabelled")
    found = survey(opened, workers=available_cores())
    encoder, planned = _fitting(settings.encoder, plan_preprocessing(found, image_size=settings.image_size))
    decoded = decode(
        opened,
        [planned],
        workers=available_cores(),
        progress=lambda done: monitor.advance(done, len(opened)),
        out=lambda shape: space.allocate(Path(PIXELS).stem, shape),
    )
    _refuse(decoded)
    record = images_record(opened, found, decoded)
    space.claim(settings.model_dump() | {"images": record.fingerprint, "version of Feint": __version__})
    colour = "grey" if planned.channels == 1 else "colour"
    monitor.say(f"{record.images} images, {colour}, seen at {planned.height} x {planned.width} px.")
    return Prepared(
        path=space.path / PIXELS,
        encoder=encoder,
        preprocessing=planned,
        images=record,
        warnings=_warnings(record, found, settings.batch),
    )


def _fitting(encoder: str, planned: PreprocessingRecord) -> tuple[str, PreprocessingRecord]:
    """Return the encoder's full name, and the preprocessing with sides that its patches divide evenly.

    The patch follows from the planned sides: rounding them first could bring them to a size of another patch.
    """
    size = (planned.height, planned.width)
    family = encoder.partition("/")[0]
    name = f"{family}/{patch_of(encoder, size)}" if family in TRANSFORMERS else encoder
    height, width = fitting_size(name, size)
    return name, planned.model_copy(update={"height": height, "width": width})


def _refuse(decoded: Decoded) -> None:
    n = len(decoded.names)
    if n == 1:
        raise InputError(
            "there is 1 readable image: nothing can be learned from a single one. Give different pictures."
        )
    if len(set(decoded.hashes)) == 1:
        raise InputError(
            f"all {n} images are identical, pixel for pixel: nothing can be learned from them. Give different pictures."
        )


def _warnings(record: ImagesRecord, found: Survey, batch: int) -> list[WarningRecord]:
    told = [WarningRecord(code="note", message=f"{note}.") for note in found.notes[:5]]
    if record.skipped:
        first = record.skipped[0]
        message = f"{len(record.skipped)} images were left out, e.g. {first.path}: {first.reason}."
        told.append(WarningRecord(code="skipped", message=message))
    if record.images < batch:
        message = f"{record.images} images are fewer than a batch of {batch}: each step sees all of them."
        told.append(WarningRecord(code="few", message=message))
    copies = sum(len(group) - 1 for group in record.duplicates)
    if copies > MANY_COPIES * record.images:
        message = (
            f"{copies} of {record.images} images are exact copies of others: two copies in a batch are told apart as "
            "if they were different. Remove them."
        )
        told.append(WarningRecord(code="duplicates", message=message))
    return told
