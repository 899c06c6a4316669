"""LiDAR: how many directions tell images apart beyond what their augmentation does."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from feint.core.errors import InputError
from feint.metrics.arrays import FloatArray
from feint.metrics.representations.spectrum import exp_entropy, finite_array

LIDAR_DELTA = 1e-4
LIDAR_EPS = 1e-8


def lidar(views: ArrayLike, *, delta: float = LIDAR_DELTA, eps: float = LIDAR_EPS) -> float:
    """Return LiDAR, the effective rank of the linear discriminant matrix, in [1, min(n0 - 1, d)] up to eps; up.

    exp(-sum_k q_k ln q_k), q = lam / sum(lam) + eps, lam the eigenvalues of Sw^{-1/2} Sb Sw^{-1/2}, with

        Sb = 1/(n0 - 1) sum_c (mu_c - mu)(mu_c - mu)^T,   mu_c the mean of the q views of image c,
        Sw = 1/(n0 (q - 1)) sum_{c,a} (z_{c,a} - mu_c)(z_{c,a} - mu_c)^T + delta I.

    Args:
        views: embeddings of q augmented views of each of n0 images, (n0, q, d); n0 >= d and q of 10 to 50 are advised.
        delta: keeps Sw invertible; beside it features below sqrt(delta) do not count.
        eps: as in the paper.

    Raises:
        InputError: not a finite (n0, q, d), fewer than two images, or fewer than two views.

    Fails when: views of one image are not together in their row; or n0 < d, where the value says how many images there
    are.

    Cost: O(n0 q d^2 + d^3 + n0 d min(n0, d)).

    References: Thilak et al. (2024), LiDAR, ICLR, arXiv 2312.04000, section 4. Deviations: the denominators of Sb and
    Sw; the eigenvalues that are zero for want of images get no eps.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> images = np.zeros((500, 1, 8))
        >>> images[:, :, :3] = 9 * rng.normal(size=(500, 1, 3))  # three directions tell images apart
        >>> round(lidar(images + rng.normal(size=(500, 10, 8))), 1)
        3.0
    """
    z = finite_array(views, "embeddings of views", axes=("images", "views", "features"))
    n0, q, d = z.shape
    if min(n0, q) < 2:
        raise InputError(f"LiDAR needs at least two images with at least two views each: got {n0} and {q}.")
    mu_c = z.mean(axis=1)
    within = np.zeros((d, d))
    for views_of_image, mean in zip(z, mu_c, strict=True):
        deviations = views_of_image - mean
        within += deviations.T @ deviations
    within = within / (n0 * (q - 1)) + delta * np.eye(d)
    lam = _discriminant_eigenvalues(mu_c - mu_c.mean(axis=0), within)
    return exp_entropy(lam[: min(n0 - 1, d)], eps=eps)


def _discriminant_eigenvalues(means: FloatArray, within: FloatArray) -> FloatArray:
    """Return the eigenvalues of Sw^{-1/2} Sb Sw^{-1/2}, falling, as squared singular values of (mu_c - mu) Sw^{-1/2}.

    So they are real and not negative, and no matrix is mistaken for data and centred again.
    """
    lam, vectors = np.linalg.eigh(within)
    whitened = means @ (vectors / np.sqrt(lam))
    return np.asarray(np.linalg.svd(whitened, compute_uv=False) ** 2 / (len(means) - 1))
