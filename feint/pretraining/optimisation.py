"""How weights are moved: the optimiser of each kind of encoder, its schedule, and its state as tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from feint.core.errors import IntegrityError, SettingError

PER_IMAGE = 128


@final
@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """An optimiser with a linear warm-up and a cosine down to 0.

    Args:
        kind: "adamw" or "sgd" (momentum .9). rate: the peak learning rate. weight_decay: of the optimiser.
        second: beta_2 of AdamW. warm_up: share of the steps during which the rate rises.
        clip: the largest norm of all gradients together; None: any.

    References: Loshchilov & Hutter (2019), arXiv:1711.05101, and (2017), arXiv:1608.03983, for the cosine.
    """

    kind: Literal["adamw", "sgd"] = "adamw"
    rate: float = 1e-3
    weight_decay: float = 1e-4
    second: float = 0.999
    warm_up: float = 0.05
    clip: float | None = None

    def __post_init__(self) -> None:
        if not self.rate > 0 or not self.weight_decay >= 0:
            raise SettingError(
                f"a learning rate is above 0 and a weight decay at least 0: got {self.rate} and {self.weight_decay}."
            )

    def at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step.

        Example:
            >>> half = Optimisation(rate=1.0, warm_up=0.5)
            >>> [round(half.at(step, 4), 2) for step in range(4)]
            [0.5, 1.0, 1.0, 0.5]
        """
        rising = math.ceil(self.warm_up * steps)
        if step < rising:
            return self.rate * (step + 1) / rising
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))

    def optimiser(self, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser of these weights."""
        if self.kind == "sgd":
            return torch.optim.SGD(weights, lr=self.rate, momentum=0.9, weight_decay=self.weight_decay)
        betas = (0.9, self.second)
        return torch.optim.AdamW(weights, lr=self.rate, betas=betas, weight_decay=self.weight_decay)

    def step(self, optimiser: torch.optim.Optimizer, *, step: int, steps: int) -> None:
        """Take the step number `step` of `steps` down the gradients that the weights hold."""
        for group in optimiser.param_groups:
            group["lr"] = self.at(step, steps)
            if self.clip is not None:
                clip_grad_norm_(group["params"], self.clip)
        optimiser.step()


SMALL = Optimisation()
RESNET18 = Optimisation(kind="sgd", rate=0.06, weight_decay=5e-4, warm_up=0.0)
TRANSFORMER = Optimisation(rate=5e-4, weight_decay=0.05, second=0.95, warm_up=0.1, clip=3.0)


def usual(encoder: str, *, batch: int) -> Optimisation:
    """Return the optimisation for an encoder, by its architecture's name, at `batch` images a step.

    The two encoders of the CPU tier have AdamW at 1e-3; ViT-Tiny has AdamW at 5e-4 with clipped gradients; ResNet-18
    has SGD at .06, times batch / 128, the one recipe that lightly's benchmarks use for all joint-embedding methods.
    """
    if encoder.startswith("vit_tiny"):
        return TRANSFORMER
    return replace(RESNET18, rate=RESNET18.rate * batch / PER_IMAGE) if encoder == "resnet18" else SMALL


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return all that an optimiser remembers, as tensors named NUMBER.WHAT."""
    state = optimiser.state_dict()["state"]
    return {f"{number}.{what}": torch.as_tensor(value) for number, of in state.items() for what, value in of.items()}


def load_optimiser_state(optimiser: torch.optim.Optimizer, state: dict[str, Tensor]) -> None:
    """Give an optimiser back what `optimiser_state` returned; raises IntegrityError where it is of other weights."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        number, _, what = name.partition(".")
        found.setdefault(int(number), {})[what] = value
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    wrong = [n for n, of in found.items() if n >= len(weights) or _misfits(of, weights[n])]
    if wrong:
        raise IntegrityError(f"the optimiser's state does not fit {len(wrong)} weights: it is of another training.")
    optimiser.load_state_dict(optimiser.state_dict() | {"state": found})


def _misfits(state: dict[str, Tensor], weight: Tensor) -> bool:
    return any(value.ndim > 0 and value.shape != weight.shape for value in state.values())
