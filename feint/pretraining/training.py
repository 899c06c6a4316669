"""The loop that all methods share: from images to an encoder, step by step, resumable at any of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from feint.core.distributed import average_gradients, processes, summed
from feint.core.errors import CollapseError, IntegrityError
from feint.core.files import atomic
from feint.core.pretraining import Learner
from feint.core.streams import stream
from feint.pretraining.batches import Batches, Views
from feint.pretraining.optimisation import Optimisation, load_optimiser_state, optimiser_state

Precision = Literal["fp32", "bf16"]
KEPT_AT = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How an encoder is pretrained; `batch` counts the images of a step over all processes.

    Every draw has a stream of its own under `seed`, named by its step, so that a training that is resumed goes on bit
    for bit.
    """

    optimisation: Optimisation
    steps: int
    batch: int
    seed: int
    precision: Precision = "fp32"
    device: str = "cpu"

    def kept(self) -> list[int]:
        """Return the steps after which a checkpoint is kept: 25, 50, 75 and 100 %."""
        return sorted({max(1, math.ceil(share * self.steps)) for share in KEPT_AT})


@dataclass(frozen=True)
class Step:
    """One step that was taken: its number from 1, and the loss of its whole batch."""

    number: int
    loss: float


@final
class Pretraining:
    """A training that goes on: `learner` and the optimiser's state after `done` steps.

    Args:
        learner: what is trained, in place. images: (n, c, h, w), uint8, in memory or mapped from a file.
        views: one for each view that the learner asks for; of more, the first.

    Raises: InputError where there are fewer than two images, or processes do not share the batch evenly.
    """

    def __init__(
        self, learner: Learner, images: NDArray[np.uint8], views: Sequence[Views], *, training: Training
    ) -> None:
        chosen = views[: learner.views]
        self.batches = Batches(images, chosen, batch=training.batch, seed=training.seed, device=training.device)
        self.batch = self.batches.batch
        self.learner = learner.to(training.device).train()
        self.training = training
        self.optimiser = training.optimisation.optimiser(learner.trained())
        self.done = 0

    def run(self, tell: Callable[[Step], None], *, until: int | None = None) -> None:
        """Take the steps that are left, up to `until`; `tell` hears of each.

        Raises: CollapseError where the loss is not finite.
        """
        end = self.training.steps if until is None else min(until, self.training.steps)
        while self.done < end:
            loss = self._step(self.done)
            self.done += 1
            tell(Step(self.done, loss))

    def save(self, path: Path) -> None:
        """Write everything that going on needs to one .safetensors file, whole or not at all.

        Raises: OutputError where the disk is full.
        """
        state = {f"learner.{name}": value for name, value in self.learner.state_dict().items()}
        state |= {f"optimiser.{name}": value for name, value in optimiser_state(self.optimiser).items()}
        tensors = {k: v.detach().cpu().contiguous() for k, v in state.items()}
        with atomic(path) as temporary:
            temporary.write_bytes(save(tensors, {"done": str(self.done)}))

    def load(self, path: Path) -> None:
        """Go on where `save` was called; raises IntegrityError where the file is cut short or of another training."""
        try:
            with safe_open(path, framework="pt") as file:
                done = int((file.metadata() or {})["done"])
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 it is no dict
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise IntegrityError(f"{path} is no saved training, or was cut short: start again.") from error
        learner = {k.removeprefix("learner."): v for k, v in state.items() if k.startswith("learner.")}
        try:
            self.learner.load_state_dict(learner)
        except RuntimeError as error:
            raise IntegrityError(f"{path} is of another method or encoder: {error}") from error
        load_optimiser_state(
            self.optimiser, {k.removeprefix("optimiser."): v for k, v in state.items() if k.startswith("optimiser.")}
        )
        self.done = done

    def _step(self, step: int) -> float:
        training, seed = self.training, self.training.seed
        _, views = self.batches.at(step)
        with torch.autocast(torch.device(training.device).type, torch.bfloat16, enabled=training.precision == "bf16"):
            loss = self.learner.loss(views, generator=stream(seed, "loss", step), progress=step / training.steps)
        mean = float(summed(loss.detach()).float()) / processes()
        if not math.isfinite(mean):
            raise CollapseError(f"the training diverged at step {step + 1}: the loss is {mean}. Lower --rate.")
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        average_gradients(self.learner.trained())
        training.optimisation.step(self.optimiser, step=step, steps=training.steps)
        self.learner.after_step((step + 1) / training.steps)
        return mean


@final
class Pace:
    """Counts images a second; the first step, which warms up, is left out."""

    def __init__(self, batch: int) -> None:
        self.batch, self.steps, self.begun, self.rate = batch, 0, math.nan, 0.0

    def step(self) -> None:
        """Count a step."""
        now = time.monotonic()
        if math.isnan(self.begun):
            self.begun = now
            return
        self.steps += 1
        self.rate = self.batch * self.steps / max(now - self.begun, 1e-9)

    def left(self, steps: int) -> str:
        """Return in words how long so many more steps take."""
        if not self.rate:
            return "an unknown time"
        seconds = steps * self.batch / self.rate
        return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
