"""What a pretraining tells and keeps while it goes on: a log, alarms, checkpoints, and the state to resume from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from feint import __version__
from feint.core.detector import SCORED_AT_ONCE, as_unit, thinned
from feint.core.distributed import rank
from feint.core.errors import CollapseError, IntegrityError
from feint.core.files import atomic, told, write_text
from feint.core.pretraining import Learner, TrainableEncoder
from feint.metrics.guards import Finding
from feint.metrics.representations import collapse_alarms, projector_alarms, rankme_centred, std_of_l2
from feint.pretraining.training import Pace, Pretraining, Step
from feint.records.pretraining import PretrainingRecord
from feint.records.run import WarningRecord
from feint.runs.pretrain_images import Prepared
from feint.runs.pretrain_settings import PretrainSettings
from feint.runs.progress import Monitor

ENCODER, LEARNER, RECORD, LOG = "encoder.safetensors", "learner.safetensors", "pretraining.json", "log.jsonl"
CHECKPOINTS = "checkpoints"
LOOKS, SAVES = 20, 40
LOOKED_AT = 256


@final
class Chronicle:
    """Hears of every step of a pretraining; only the first process of several looks, writes and speaks.

    After each twentieth of the steps it looks at what encoder and projector make of 256 of the images; after each
    fortieth it saves to `state` what going on needs. All else that it keeps goes to `folder`.
    """

    def __init__(
        self,
        pretraining: Pretraining,
        settings: PretrainSettings,
        data: Prepared,
        *,
        folder: Path,
        state: Path,
        monitor: Monitor,
    ) -> None:
        self.pretraining, self.settings, self.data = pretraining, settings, data
        self.folder, self.state, self.monitor = folder, state, monitor
        self.pace = Pace(pretraining.batch)
        self.losses: list[float] = []
        self.alarms: dict[str, str] = {}
        if rank() == 0:
            folder.mkdir(parents=True, exist_ok=True)
            pixels = data.pixels()
            self._shown = torch.from_numpy(pixels[thinned(torch.arange(len(pixels)), LOOKED_AT).numpy()])
            self._untrained = [std_of_l2(each) for each in self._embedded()]

    def begin(self) -> None:
        """Go on after the steps that the pretraining has done; what the log says of later ones is cut off.

        Raises: IntegrityError where the log does not hold the steps that were done.
        """
        if rank() > 0:
            return
        log, done = self.folder / LOG, self.pretraining.done
        lines = log.read_text(encoding="utf-8").splitlines()[:done] if log.exists() else []
        if len(lines) < done:
            raise IntegrityError(f"{log} holds {len(lines)} of the {done} steps that were done: start again.")
        self.losses = [json.loads(line)["loss"] for line in lines]
        write_text(log, "".join(f"{line}\n" for line in lines))
        if done:
            self.monitor.say(f"Going on after step {done} of {self.settings.steps}.")

    def tell(self, step: Step) -> None:
        """Hear of a step: log it, look now and then, keep what is to be kept."""
        if rank() > 0:
            return
        self.losses.append(step.loss)
        self.pace.step()
        self.monitor.advance(step.number, self.settings.steps)
        last = step.number == self.settings.steps
        self._log(step, self._look(step) if last or self._is_due(step, LOOKS) else {})
        if step.number in self.pretraining.training.kept():
            _write_learner(self.pretraining.learner, self.folder / CHECKPOINTS / f"step-{step.number:06d}.safetensors")
        if self._is_due(step, SAVES) and not last:
            self.pretraining.save(self.state)
            self._write_record()

    def conclude(self) -> PretrainingRecord:
        """Write the trained learner and the record; return the latter."""
        _write_learner(self.pretraining.learner, self.folder / LEARNER)
        return self._write_record()

    def _write_record(self) -> PretrainingRecord:
        record = self._record()
        write_text(self.folder / RECORD, record.model_dump_json(indent=1))
        return record

    def _record(self) -> PretrainingRecord:
        settings, training, done = self.settings, self.pretraining.training, self.pretraining.done
        found = [WarningRecord(code=code, message=message) for code, message in self.alarms.items()]
        return PretrainingRecord(
            method=settings.method,
            encoder=self.data.encoder,
            readout=settings.readout,
            channels=self.data.preprocessing.channels,
            preprocessing=self.data.preprocessing,
            images=self.data.images,
            views=settings.chosen_views,
            steps=settings.steps,
            batch=self.pretraining.batch,
            rate=training.optimisation.rate,
            weight_decay=training.optimisation.weight_decay,
            seed=settings.seed,
            precision=settings.precision,
            device=settings.device,
            steps_done=done,
            checkpoints=[each for each in training.kept() if each <= done],
            loss=self.losses[-1],
            images_per_second=round(self.pace.rate, 1),
            warnings=[*self.data.warnings, *found],
            version=__version__,
        )

    def _is_due(self, step: Step, times: int) -> bool:
        return step.number % max(1, self.settings.steps // times) == 0

    def _look(self, step: Step) -> dict[str, float | list[str]]:
        """Measure the embeddings, and raise what alarms there are."""
        z, projected = self._embedded()
        if not np.isfinite(z).all():
            raise CollapseError(f"the training diverged at step {step.number}: embeddings are infinite. Lower --rate.")
        spread, rank_of_z = std_of_l2(z), rankme_centred(z)
        self.monitor.say(
            f"Step {step.number} of {self.settings.steps}: loss {step.loss:.4g}, {self.pace.rate:.0f} images/s, spread "
            f"{spread * z.shape[1] ** 0.5:.2f} of 1, rank {rank_of_z:.1f} of {z.shape[1]}, "
            f"{self.pace.left(self.settings.steps - step.number)} left."
        )
        found = self._findings(z, projected)
        for each in found:
            if each.code not in self.alarms:
                self.monitor.say(f"Alarm: {each.sentence}")
        self.alarms = {each.code: f"At step {step.number}, {each.sentence}" for each in found}
        return {"std_of_l2": spread, "rankme_centred": rank_of_z, "alarms": list(self.alarms)}

    def _findings(self, z: NDArray[np.float64], projected: NDArray[np.float64]) -> list[Finding]:
        """Return the alarms of the encoder; of the projector, whose rank is often low, only that of a collapse."""
        of_z, of_projected = self._untrained
        floor = self.pretraining.learner.floor(self.pretraining.batch)
        found = collapse_alarms(z, untrained_spread=of_z, loss=self.losses, floor=floor)
        if not np.array_equal(z, projected):
            found += projector_alarms(projected, untrained_spread=of_projected)
        return found

    @torch.no_grad()
    def _embedded(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what encoder and projector make of the images looked at, outside of training: (n, e) and (n, p)."""
        learner = self.pretraining.learner.eval()
        embed = cast("TrainableEncoder", learner.encoder).embed
        found = self._in_chunks(embed), self._in_chunks(learner.project)
        learner.train()
        return found

    def _in_chunks(self, function: Callable[[Tensor], Tensor]) -> NDArray[np.float64]:
        device = self.pretraining.training.device
        chunks = [function(as_unit(each).to(device)).cpu() for each in torch.split(self._shown, SCORED_AT_ONCE)]
        return torch.cat(chunks).double().numpy()

    def _log(self, step: Step, seen: dict[str, float | list[str]]) -> None:
        rate = self.pretraining.training.optimisation.at(step.number - 1, self.settings.steps)
        pace = round(self.pace.rate, 1)
        line = {"step": step.number, "loss": step.loss, "rate": rate, "images_per_second": pace, **seen}
        path = self.folder / LOG
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise told(error, path) from error


def _write_learner(learner: Learner, path: Path) -> None:
    """Write a learner's state_dict to a .safetensors file, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(save({k: v.detach().cpu().contiguous() for k, v in learner.state_dict().items()}))
