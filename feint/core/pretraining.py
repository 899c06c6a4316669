"""Learning an encoder without labels: a `Method` holds hyperparameters, a `Learner` is what it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from feint.core.errors import SettingError


class TrainableEncoder(Protocol):
    """What a method pretrains, and what everything else reads of it afterwards.

    `width` is d, the size of what `forward` returns; `embedding_size` is e, the size of what `embed` returns.
    """

    width: int
    embedding_size: int

    def __call__(self, images: Tensor) -> Tensor:
        """Return h (n, d), on which the heads of a method stand, for images (n, c, h, w) in [0, 1]."""
        ...

    def embed(self, images: Tensor) -> Tensor:
        """Return embeddings (n, e), by which the encoder is judged and used."""
        ...

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the map of every stage, (n, c_i, h_i, w_i)."""
        ...


class Learner(nn.Module, ABC):
    """An encoder with the heads, the teacher and the buffers of one method; its whole state is its `state_dict`.

    `encoder` is what remains after training. `views` says how many augmented copies of each image a step needs.
    In a process of several, `loss` sees this process's share of a batch; see `feint.core.distributed`.
    """

    views: ClassVar[int] = 2

    encoder: nn.Module

    @abstractmethod
    def loss(self, views: Sequence[Tensor], *, generator: torch.Generator, progress: float) -> Tensor:
        """Return the loss (), finite unless the training has diverged, of the `views` (n, c, h, w) in [0, 1] each.

        Args:
            generator: a CPU generator, for what the method draws itself; processes of one training give equal ones.
            progress: the share of the training that is done, in [0, 1), for schedules.
        """

    @abstractmethod
    def project(self, images: Tensor) -> Tensor:
        """Return what the loss compares, (n, p), for images (n, c, h, w); without a projector, the embeddings."""

    def after_step(self, progress: float) -> None:
        """Update what is not trained by gradient, after each step."""

    def floor(self, batch: int) -> float | None:  # noqa: ARG002
        """Return the loss of a collapsed encoder for `batch` images a step; None: the loss does not tell."""
        return None

    def trained(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that gradient descent changes; a teacher's want no gradient."""
        return (each for each in self.parameters() if each.requires_grad)


class Method(ABC):
    """A frozen, keyword-only dataclass of a method's hyperparameters.

    `name` is that of the catalogue; `transformers_only` says that the method needs an encoder of patch tokens.
    """

    name: ClassVar[str]
    transformers_only: ClassVar[bool] = False

    def learner(self, encoder: nn.Module, *, seed: int) -> Learner:
        """Return the learner around `encoder`, a `TrainableEncoder`, whose heads are drawn under `seed`.

        Raises: SettingError where the method is not applicable to this encoder.
        """
        if self.transformers_only and not hasattr(encoder, "tokens"):
            raise SettingError(
                f"{self.name} is not applicable to {type(encoder).__name__}: it hides patches, and needs an encoder of "
                "patch tokens. Take vit_tiny or vit_micro."
            )
        return self._learner(encoder, seed)

    @abstractmethod
    def _learner(self, encoder: nn.Module, seed: int) -> Learner:
        """Return the learner; what is drawn comes from streams under `seed`."""
