"""What is trained: one bank of scores for each normal set and seed, from which every pool is then drawn."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feint.augmentations import AUGMENTATIONS
from feint.augmentations.policies import MIXED
from feint.core.augmentation import Mixture, Policy
from feint.core.detector import as_unit, score_images
from feint.core.files import atomic
from feint.core.streams import numpy_stream, seed_of, stream
from feint.data.testbeds import NormalSet, TestbedSettings, normal_sets
from feint.detectors import AE, Discriminator
from feint.runs.candidates import AUTOENCODER
from feint.runs.recipes import whole_range
from feint.runs.settings import BUDGETS
from feint.tuning.landscape import Landscape, LandscapeTuner

FAMILIES = {"cutdiff": 24, "rotation": 12, "cutpaste": 16, "noise": 8, "blur": 8, "color": 8}
CLOSE = ("cutdiff", "rotation")
EMBEDDED = 100
HELD_OUT = 0.25
BRIGHTER, MOVED = 0.06, 2

Scores = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class BankJob:
    """One normal set with one seed; `hidden` is the share of anomalies among its training images."""

    path: Path
    data: str
    normal: str
    tasks: str
    seed: int
    size: int | None
    anomalies: tuple[str, ...] = ()
    hidden: float = 0.0

    @property
    def file(self) -> str:
        """The name of its bank."""
        return f"{self.data}-{self.normal}-{self.seed}{f'-hidden{self.hidden:g}' if self.hidden else ''}.npz"

    def images(self) -> NormalSet:
        """Return the normal set, the same for every seed."""
        settings = TestbedSettings(
            tasks=(self.tasks,), normal=(self.normal,), anomalies=self.anomalies, size=self.size,
            train_limit=400, test_limit=150, contamination=self.hidden,
        )  # fmt: skip
        return normal_sets(self.path, name=self.data, settings=settings, seed=0)[0]


def split(count: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which of the normal images train, and which are held out."""
    order = numpy_stream(seed, "self-tuning split").permutation(count)
    held_out = max(8, round(HELD_OUT * count))
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def fill(job: BankJob, store: Path) -> str:
    """Train everything on one normal set and write its bank, unless it is there; returns the name."""
    path = store / job.file
    if path.exists():
        return job.file
    images = job.images()
    training, held_out = split(len(images.train), job.seed)
    bank = Bank(images, torch.from_numpy(np.ascontiguousarray(images.train[training])), held_out)
    budget, seed = BUDGETS["standard"], job.seed
    bank.add("none", Discriminator().fit(bank.normals, policy=None, seed=seed))
    mixture = Mixture(policies=tuple(whole_range(name).policy() for name in MIXED))
    mixed = Discriminator(steps=budget.steps).fit(bank.normals, policy=mixture, seed=seed)
    bank.add("mixture", mixed)
    mixed.score = "position"
    bank.add("places", mixed)
    bank.add("autoencoder", AE(**AUTOENCODER, epochs=20).fit(bank.normals, policy=None, seed=seed))
    recipe = Discriminator(steps=budget.landscape_steps)
    for name, count in FAMILIES.items():
        whole = whole_range(name).policy()
        bank.add(f"rd-{name}", recipe.fit(bank.normals, policy=whole, seed=seed))
        static = at(whole, whole.at(torch.rand(1, len(whole.low), generator=stream(seed, "static", name)))[0])
        bank.add(f"rs-{name}", recipe.fit(bank.normals, policy=static, seed=seed))
        landscape = LandscapeTuner(steps=budget.landscape_steps).fit(
            bank.normals, policy=whole, seed=seed_of(seed, name)
        )
        bank.sweep(name, landscape, count)
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, about=json.dumps({"data": job.data, "normal": job.normal, "seed": seed}), **bank.arrays)
    return job.file


def at(policy: Policy, magnitudes: Tensor) -> Policy:
    """Return the policy that always uses these magnitudes."""
    values = tuple(magnitudes.tolist())
    return Policy(augmentation=policy.augmentation, low=values, high=values)


class Bank:
    """Scores of held-out normals, of all test images, of pseudo-anomalies and of shifted test images, by name."""

    def __init__(self, images: NormalSet, normals: Tensor, held_out: NDArray[np.intp]) -> None:
        self.normals = normals
        self.arrays: dict[str, NDArray[np.generic]] = {"held_out_rows": held_out}
        held = torch.from_numpy(np.ascontiguousarray(images.train[held_out]))
        test = torch.from_numpy(np.ascontiguousarray(images.test))
        brighter = ((as_unit(test) + BRIGHTER).clamp(0, 1) * 255).round().to(torch.uint8)
        moved = torch.roll(test, (MOVED, MOVED), dims=(2, 3))
        self.sets = {
            "held_out": held, "test": test, "pseudo": pseudo_of(held), "brighter": brighter, "moved": moved
        }  # fmt: skip

    def add(self, name: str, scorer: torch.nn.Module) -> None:
        """Keep the scores of one fitted scorer."""
        for part, images in self.sets.items():
            self.arrays[f"{part}:{name}"] = score_images(scorer, images).numpy()  # type: ignore[arg-type]

    def sweep(self, family: str, landscape: Landscape, count: int) -> None:
        """Keep the pooled scores at `count` points of a landscape and, of some families, embeddings."""
        points = landscape.points(count, seed=0)
        self.arrays[f"points:{family}"] = points.numpy()
        self.arrays[f"encoded:{family}"] = landscape.network.encode(points).detach().numpy()
        parts = list(self.sets) if family in CLOSE else ["held_out", "test"]
        for k, point in enumerate(points):
            found = landscape.scores(point, self.normals, [self.sets[part] for part in parts])
            for part, scores in zip(parts, found, strict=True):
                self.arrays[f"{part}:{family}@{k}"] = scores.pooled.numpy()
            if family in CLOSE:
                self._embed(f"{family}@{k}", landscape, point)

    @torch.no_grad()
    def _embed(self, name: str, landscape: Landscape, point: Tensor) -> None:
        encoder = landscape.network.at(point).encoder
        some = as_unit(self.sets["held_out"][:EMBEDDED])
        policy = at(landscape.policy, point)
        parts = {
            "normal": as_unit(self.normals[:EMBEDDED]),
            "made": policy(some, generator=stream(0, "made")),
            "test": as_unit(self.sets["test"]),
        }
        for part, images in parts.items():
            embeddings = torch.cat([encoder(chunk) for chunk in images.split(128)])
            self.arrays[f"embedded-{part}:{name}"] = embeddings.numpy().astype(np.float16)


def pseudo_of(images: Tensor) -> Tensor:
    """Return one pseudo-anomaly of each image (n, c, h, w), uint8, of augmentations that no candidate is tuned to."""
    names = ("cutout", "cp-scar", "mask")
    mixture = Mixture(policies=tuple(whole_range(name).policy() for name in names if name in AUGMENTATIONS))
    made = mixture(as_unit(images), generator=stream(0, "pseudo-anomalies"))
    return (made.clamp(0, 1) * 255).round().to(torch.uint8)
