"""Where on a landscape to stand: many settings tried, the criterion smoothed over them, the best one refined."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from feint.core.errors import CollapseError
from feint.metrics.two_sample import two_sample_auroc
from feint.tuning.landscape import Landscape

DENSE = 512
ASCENT = 25


class Found(NamedTuple):
    """What a search tried: settings (k, m), the two-sample AUROC of the pooled score at each (k,), the same smoothed
    over the settings, and the scores of held-out (k, m) and unlabelled images (k, n). The last two settings are the
    refined ones.
    """

    points: Tensor
    values: Tensor
    smoothed: Tensor
    held_out: Tensor
    unlabelled: Tensor


def found_by(
    landscape: Landscape,
    normals: Tensor,
    *,
    held_out: Tensor,
    unlabelled: Tensor,
    points: int,
    seed: int,
    log: Callable[[int, float], None],
) -> Found:
    """Search the landscape for the magnitudes at which unlabelled images stand out most from held-out normal ones.

    The two-sample AUROC is measured at `points` evenly spread settings and smoothed by a Gaussian process, since each
    value holds the luck of few images. Where the smooth one is highest, gradient ascent sets out; both its ends are
    measured too. A setting at which the embeddings collapse has the value of chance, 0.5, and scores that are NaN.

    Args:
        normals: those of the training. held_out: normal images kept out of it. All images (n, c, h, w), uint8.
        log: is told number and value of each setting.

    Cost: `Landscape.scores` for each of `points` + 2 settings, and 25 small steps of the ascent.
    References: Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, algorithm 2.1, for the smoothing.
    """
    tried: list[Tensor] = []
    values: list[float] = []
    scores: list[tuple[Tensor, Tensor]] = []

    def measure(setting: Tensor) -> None:
        try:
            h, u = (each.pooled for each in landscape.scores(setting, normals, [held_out, unlabelled]))
        except CollapseError:
            h, u = (torch.full((len(images),), torch.nan) for images in (held_out, unlabelled))
        tried.append(setting)
        scores.append((h, u))
        values.append(two_sample_auroc(u.numpy(), h.numpy()) if torch.cat([h, u]).isfinite().all() else 0.5)
        log(len(values), values[-1])

    for setting in landscape.points(points, seed=seed):
        measure(setting)
    dense = landscape.points(DENSE, seed=seed + 1)
    encode = landscape.network.encode
    expected = smoothed(encode(torch.stack(tried)), values, at=encode(dense))
    top = dense[int(expected.argmax())]
    measure(top)
    measure(landscape.ascend(top, held_out, unlabelled, steps=ASCENT, seed=seed))
    settings = torch.stack(tried)
    smooth = torch.from_numpy(smoothed(encode(settings), values, at=encode(settings)))
    held, pool = (torch.stack(each) for each in zip(*scores, strict=True))
    return Found(settings, torch.tensor(values, dtype=torch.float64), smooth, held, pool)


def smoothed(settings: Tensor, values: list[float], *, at: Tensor) -> np.ndarray:
    """Return the mean at encoded settings `at` (q, e) of a Gaussian process through `values` (k,) at `settings` (k, e).

    One length scale for each encoded column and the noise are chosen by the likelihood.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    y = np.asarray(values)
    spread = float(y.std())
    if spread < 1e-6:
        return np.full(len(at), float(y.mean()))
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * RBF(np.ones(settings.shape[1]), (0.3, 30)) + WhiteKernel(
        0.3, (1e-3, 10)
    )
    process = GaussianProcessRegressor(kernel, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(settings.detach().double().numpy(), (y - y.mean()) / spread)
    expected: np.ndarray = y.mean() + spread * process.predict(at.detach().double().numpy())
    return expected
