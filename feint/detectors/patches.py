"""PatchCore: nearest neighbours among patches, so that a small defect is not lost in its image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from feint.core.augmentation import PseudoAnomalies
from feint.core.detector import Log, Scorer
from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.detectors.density import upsample
from feint.detectors.encoders import EncoderDetector, in_chunks, middle
from feint.detectors.neighbours import Bank
from feint.networks.pretrained import Encoder

PROJECTED = 128
CONSIDERED = 20
MOST_NUMBERS = 2**26


@final
class PatchScorer(Scorer):
    """Distance of the strangest patch to the nearest kept one, re-weighted; maps are the distances of all patches."""

    def __init__(self, channels: int, size: tuple[int, int], *, encoder: Encoder, bank: Bank, reweight: int) -> None:
        super().__init__(channels, size)
        self.encoder, self.bank, self.reweight = encoder, bank, reweight

    def _scores(self, images: Tensor) -> Tensor:
        features = patch_features(self.encoder, images)
        distances, nearest = self.bank.nearest(features.flatten(0, 2), 1)
        per_image, where = distances.reshape(images.shape[0], -1).max(1)
        if self.reweight < 2 or len(self.bank) < 2:
            return per_image
        rows = torch.arange(images.shape[0], device=images.device)
        strangest = features.flatten(1, 2)[rows, where]
        m = nearest.reshape(images.shape[0], -1)[rows, where]
        _, around = self.bank.nearest(self.bank.at(m), self.reweight)
        to_these = (self.bank.at(around) - strangest[:, None]).norm(dim=2)
        share = torch.exp(per_image - to_these.logsumexp(1))
        return (1 - share) * per_image

    def _embeddings(self, images: Tensor) -> Tensor:
        return patch_features(self.encoder, images).mean((1, 2))

    def _maps(self, images: Tensor) -> Tensor:
        features = patch_features(self.encoder, images)
        distances, _ = self.bank.nearest(features.flatten(0, 2), 1)
        return upsample(distances.reshape(features.shape[:3]), self.size)


@final
@dataclass(frozen=True, kw_only=True)
class PatchKNN(EncoderDetector[PatchScorer]):
    """Nearest neighbours among the patches of normal images, of which a coreset is kept (PatchCore).

        s* = max_p min_{m in M} || p - m ||,   with p*, m* where they are attained
        score(x) = (1 - exp(|| p* - m* ||) / sum_{m in N_b(m*)} exp(|| p* - m ||)) s*

    A patch is the two middle maps of the encoder, averaged over 3 x 3 positions, the coarser one brought to the size of
    the finer one. M is the coreset that greedy k-center picks: again and again the patch farthest from those picked.

    Args:
        coreset: share of the patches that is kept, in (0, 1]; most: how many at most.
        reweight: b, neighbours of m* in the weight; 1: score is s*. For the rest see `EncoderDetector`.

    Fails when: texture differs from image to image as much as a defect differs from it.
    Cost: fitting O(P M 128) for the greedy choice of M among P patches, half a minute at its most; scoring
    O(p M d) an image. Of more than 20 patches for each that may be kept, or 67 M numbers, a random part is considered.
    References: Roth et al. (CVPR 2022), arXiv:2106.08265, equations 1 to 7 and algorithm 1.
    Deviations: averages leave the border out instead of counting zeros; 128 projected dimensions; the coreset and the
    patches it is chosen from have an upper limit; maps are interpolated bilinearly and not blurred.
    """

    coreset: float = 0.1
    most: int = 4000
    reweight: int = 9

    def __post_init__(self) -> None:
        EncoderDetector.__post_init__(self)
        if not 0 < self.coreset <= 1 or self.most < 1 or self.reweight < 1:
            raise SettingError(
                f"PatchKNN: coreset must be in (0, 1], most and reweight at least 1: got {self.coreset}, {self.most} "
                f"and {self.reweight}."
            )

    def _fit(self, normals: Tensor, policy: PseudoAnomalies | None, seed: int, log: Log) -> PatchScorer:
        encoder = self._encoder(normals, policy, seed, log)
        chance = stream(seed, "coreset")
        patches = _some_patches(encoder, normals, most=CONSIDERED * self.most, generator=chance)
        kept = min(self.most, max(1, round(self.coreset * len(patches))))
        bank = Bank(patches[greedy_coreset(patches, kept, generator=chance)])
        size = (normals.shape[2], normals.shape[3])
        return PatchScorer(normals.shape[1], size, encoder=encoder, bank=bank, reweight=self.reweight).eval()

    @torch.no_grad()
    def _around(self, encoder: Encoder, channels: int, size: tuple[int, int]) -> PatchScorer:
        bank = Bank(patch_features(encoder, torch.zeros(1, channels, *size))[0, 0, :1])
        return PatchScorer(channels, size, encoder=encoder, bank=bank, reweight=self.reweight).eval()


def patch_features(encoder: Encoder, images: Tensor) -> Tensor:
    """Return patch features (n, h', w', d) of images (n, c, h, w) in [0, 1]."""
    maps = [avg_pool2d(each, 3, stride=1, padding=1, count_include_pad=False) for each in middle(encoder.maps(images))]
    finest = maps[0].shape[2:]
    same = [maps[0], *(interpolate(each, size=finest, mode="bilinear", align_corners=False) for each in maps[1:])]
    return torch.cat(same, dim=1).permute(0, 2, 3, 1)


def greedy_coreset(points: Tensor, size: int, *, generator: torch.Generator) -> Tensor:
    """Return the indices (size,) of points (m, d) that greedy k-center picks, seen in 128 random directions.

    No point is farther from the picked ones than twice the least possible, up to what the projection distorts.

    Cost: O(m size d'), d' at most 128.
    References: Sener & Savarese (ICLR 2018), arXiv:1708.00489, algorithm 1.
    """
    d = points.shape[1]
    if d > PROJECTED:
        points = points @ (torch.randn(d, PROJECTED, generator=generator).to(points) / PROJECTED**0.5)
    squares = (points**2).sum(1)
    picked = [int(torch.randint(len(points), (1,), generator=generator))]
    nearest = torch.full_like(squares, float("inf"))
    while len(picked) < min(size, len(points)):
        new = points[picked[-1]]
        nearest = torch.minimum(nearest, squares - 2 * (points @ new) + new @ new)
        nearest[picked[-1]] = -float("inf")
        picked.append(int(nearest.argmax()))
    return torch.tensor(picked)


@torch.no_grad()
def _some_patches(encoder: Encoder, normals: Tensor, *, most: int, generator: torch.Generator) -> Tensor:
    """Return all patches (m, d) of the images, or a random part of about `most`, fewer where they are long."""
    found = []
    for chunk in in_chunks(normals):
        patches = patch_features(encoder, chunk).flatten(0, 2)
        share = min(most, MOST_NUMBERS // patches.shape[1]) / (len(normals) * len(patches) / len(chunk))
        if share < 1:
            patches = patches[torch.randperm(len(patches), generator=generator)[: max(1, int(share * len(patches)))]]
        found.append(patches)
    return torch.cat(found)
