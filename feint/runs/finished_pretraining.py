"""A finished pretraining, as its folder holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from feint.core.errors import InputError, IntegrityError
from feint.core.pretraining import Learner
from feint.networks.architectures import Architecture, EncoderInfo, build, load_encoder, read_info
from feint.networks.weights import read_weights
from feint.pretraining import METHODS
from feint.records.pretraining import PretrainingRecord
from feint.runs.chronicle import CHECKPOINTS, ENCODER, LOG, RECORD
from feint.runs.pretrain_images import PIXELS
from feint.runs.workspace import SUFFIX

SHOWN = 3


@final
class Pretrained:
    """What `feint pretrain` leaves: the encoder, and the learner at each checkpoint that was kept.

    Raises: InputError where `path` is no pretraining, or an unfinished one; IntegrityError where it was cut short or
    changed, or holds another encoder than its record says.

    Attributes:
        path: the folder. record: pretraining.json. info: the encoder by that record.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.record = self._read()
        planned = self.record.preprocessing
        self.info = EncoderInfo(
            architecture=self.record.encoder,
            channels=self.record.channels,
            size=(planned.height, planned.width),
            readout=self.record.readout,
        )
        self._check()

    @cached_property
    def encoder(self) -> Architecture:
        """The encoder after the last step, in evaluation mode."""
        return load_encoder(self.path / ENCODER)[0]

    def untrained(self) -> Learner:
        """Return the learner before the first step, with the weights it began with, in evaluation mode."""
        info, seed = self.info, self.record.seed
        encoder = build(info.architecture, channels=info.channels, size=info.size, readout=info.readout, seed=seed)
        return METHODS[self.record.method]().learner(encoder, seed=seed).eval()

    def learner(self, step: int) -> Learner:
        """Return the learner after `step`, one of `record.checkpoints`, in evaluation mode; `project` is its projector.

        Raises: IntegrityError where the checkpoint was cut short, or is of another encoder or method: it says which
        weights differ.
        """
        learner, path = self.untrained(), self.checkpoint(step)
        state = read_weights(path)
        wrong = _differences(state, learner.state_dict())
        if wrong:
            raise IntegrityError(
                f"{path} is a checkpoint of another encoder or method than {self.record.method} on {self.info}, as "
                f"{RECORD} says: {wrong}. Copy the right one there, or pretrain again."
            )
        learner.load_state_dict(state)
        return learner

    def checkpoint(self, step: int) -> Path:
        """Return where the learner after `step` is kept."""
        return self.path / CHECKPOINTS / f"step-{step:06d}.safetensors"

    def losses(self, step: int) -> NDArray[np.float64]:
        """Return the logged losses up to `step`, in order; a step that was taken again counts once."""
        found: dict[int, float] = {}
        log = self.path / LOG
        for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
            try:
                told = json.loads(line)
                found[int(told["step"])] = float(told["loss"])
            except (ValueError, KeyError, TypeError):  # a line that an interruption has cut short
                continue
        return np.array([found[each] for each in sorted(found) if each <= step])

    def _read(self) -> PretrainingRecord:
        path = self.path / RECORD
        if not path.is_file():
            partial = self.path if self.path.name.endswith(SUFFIX) else Path(f"{self.path}{SUFFIX}")
            if (partial / PIXELS).is_file():
                kept = partial / "result" / RECORD
                raise InputError(_unfinished(partial, _record_in(kept) if kept.is_file() else None))
            hint = " It is a run of feint tune." if (self.path / "run.json").is_file() else ""
            raise InputError(
                f"{self.path} is no pretraining: it has no {RECORD}.{hint} Give the folder that feint pretrain wrote."
            )
        record = _record_in(path)
        if record.steps_done < record.steps:
            raise InputError(_unfinished(self.path, record))
        if record.method not in METHODS:
            raise IntegrityError(
                f"{path} is of the method {record.method!r}, which this version does not know: it knows "
                f"{', '.join(METHODS)}. Was it written by a later one?"
            )
        return record

    def _check(self) -> None:
        """Raise IntegrityError where a file is missing, or the encoder is another one."""
        needed = [self.path / ENCODER, *map(self.checkpoint, self.record.checkpoints)]
        missing = ", ".join(str(each.relative_to(self.path)) for each in needed if not each.is_file())
        if missing:
            raise IntegrityError(f"{self.path} was cut short: it lacks {missing}. Copy it again, or pretrain again.")
        if not self.record.checkpoints:
            raise IntegrityError(f"{self.path / RECORD} was changed: it names no checkpoint. Pretrain again.")
        found = read_info(self.path / ENCODER)
        if found != self.info:
            raise IntegrityError(
                f"{self.path / ENCODER} holds {found}, readout {found.readout}, but {RECORD} speaks of {self.info}, "
                f"readout {self.info.readout}: it is another encoder. Copy the right one there, or pretrain again."
            )

    def __repr__(self) -> str:
        return f"Pretrained({str(self.path)!r}): {self.record.method} on {self.info}, {self.record.steps} steps"


def _record_in(path: Path) -> PretrainingRecord:
    try:
        return PretrainingRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise IntegrityError(f"{path} was cut short or changed: {reason}. Copy it again, or pretrain again.") from error


def _unfinished(folder: Path, record: PretrainingRecord | None) -> str:
    done = "" if record is None else f", {record.steps_done} of {record.steps} steps"
    return f"{folder} is an unfinished pretraining{done}: finish it by the same feint pretrain command with --resume."


def _differences(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Return the first weights in which two states differ, in words; "" where they have the same names and shapes."""
    found, wanted = ({name: tuple(value.shape) for name, value in each.items()} for each in (state, expected))
    wrong = [name for name in wanted | found if found.get(name) != wanted.get(name)]
    told = [f"{name} is {found.get(name, 'absent')} instead of {wanted.get(name, 'absent')}" for name in wrong[:SHOWN]]
    return "; ".join(told + ([f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []))
