"""Pseudo-anomalies as judges of a representation: those that Feint trains detectors on by default, and each kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feint.augmentations.policies import MIXED, policy_named
from feint.core.augmentation import Mixture, PseudoAnomalies
from feint.core.detector import as_unit
from feint.core.streams import stream
from feint.embeddings.pseudo import pseudo_neighbours, pseudo_probe

SHOWN = 400

Embed = Callable[[Tensor], NDArray[np.float64]]


def pseudo_criteria(embed: Embed, pixels: NDArray[np.uint8], *, seed: int) -> dict[str, float]:
    """Return how well embeddings tell images (n, c, h, w), uint8, from pseudo-anomalies of them, as "free:KEY"."""
    chance = stream(seed, "pseudo shown")
    shown = as_unit(torch.from_numpy(pixels[torch.randperm(len(pixels), generator=chance)[:SHOWN].numpy()]))
    policies = {name: policy_named(name) for name in MIXED}
    kinds: dict[str, PseudoAnomalies] = {"": Mixture(policies=tuple(policies.values()))}
    kinds |= {f"_{name}": policy for name, policy in policies.items()}
    z = embed(shown)
    found = {}
    for kind, policy in kinds.items():
        made = embed(policy(shown, generator=stream(seed, "pseudo criteria", kind)))
        found[f"free:pseudo_probe{kind}"] = pseudo_probe(z, made, seed=seed)
        found[f"free:pseudo_neighbours{kind}"] = pseudo_neighbours(z, made, seed=seed)
    return found
