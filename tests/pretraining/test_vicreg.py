import math
import statistics

import pytest
import torch

from feint.core.errors import InputError, SettingError
from feint.core.streams import stream
from feint.networks.architectures import build
from feint.pretraining.vicreg import VICReg, vicreg_loss

PAPER = {"similarity": 25.0, "variance": 25.0, "covariance": 1.0, "eps": 1e-4}


def rows(n, d, *names):
    return torch.randn(n, d, generator=stream(0, "rows", *names), dtype=torch.float64)


def by_definition(za, zb, similarity, variance, covariance, eps):
    """Equations 1 to 6 of the paper, pair by pair of dimensions; s is a mean over them, and v one over views."""
    n, d = za.shape
    s = sum((x - y) ** 2 for x, y in zip(za.flatten().tolist(), zb.flatten().tolist(), strict=True)) / (n * d)
    v = c = 0.0
    for z in (za, zb):
        columns = z.T.tolist()
        spreads = [math.sqrt(statistics.variance(column) + eps) for column in columns]
        v += statistics.fmean(max(0, 1 - spread) for spread in spreads)
        pairs = [statistics.covariance(x, y) for i, x in enumerate(columns) for j, y in enumerate(columns) if i != j]
        c += sum(pair**2 for pair in pairs) / d
    return similarity * s + variance * v / 2 + covariance * c


@pytest.mark.parametrize("size", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 2.0, 3.0), (0.0, 1.0, 0.0)])
def test_it_is_equations_1_to_6(size, weights):
    za, zb = size * rows(7, 4, "a"), size * rows(7, 4, "b")
    settings = dict(zip(PAPER, (*weights, 1e-4), strict=True))
    assert float(vicreg_loss(za, zb, **settings)) == pytest.approx(by_definition(za, zb, *settings.values()), rel=1e-10)


def test_of_identical_projections_it_is_24_75():
    z = rows(1, 7, "one").expand(8, -1)
    assert float(vicreg_loss(z, z, **PAPER)) == pytest.approx(24.75, rel=1e-12)
    learner = VICReg().learner(build("resnet8", channels=1, size=(8, 8), seed=0), seed=0)
    assert learner.floor(8) == pytest.approx(24.75, rel=1e-12)


def test_spread_and_uncorrelated_projections_that_agree_cost_nothing():
    z = torch.eye(4, dtype=torch.float64).sub(0.25)
    orthogonal = 4 * torch.linalg.qr(torch.cat([torch.ones(4, 1, dtype=torch.float64), z[:, :2]], dim=1)).Q[:, 1:]
    assert float(vicreg_loss(orthogonal, orthogonal, **PAPER)) == pytest.approx(0, abs=1e-12)


def test_gradient():
    za, zb = 0.3 * rows(5, 3, "a"), 0.3 * rows(5, 3, "b")
    assert torch.autograd.gradcheck(lambda a, b: vicreg_loss(a, b, **PAPER), (za.requires_grad_(), zb.requires_grad_()))


def test_the_gradient_of_collapsed_projections_is_finite():
    z = torch.zeros(4, 3, requires_grad=True)
    vicreg_loss(z, z, **PAPER).backward()
    assert z.grad.isfinite().all()


def test_a_batch_of_one_is_refused():
    learner = VICReg().learner(build("resnet8", channels=1, size=(8, 8), seed=0), seed=0)
    with pytest.raises(InputError, match="at least 2 of them: got 1"):
        learner.loss([torch.rand(1, 1, 8, 8, generator=stream(0, "one"))] * 2, generator=stream(0), progress=0.0)


@pytest.mark.parametrize(
    "wrong",
    [{"similarity": -1.0}, {"variance": math.inf}, {"covariance": math.nan}, {"eps": 0.0}, {"hidden": 0}, {"out": 1}],
)
def test_impossible_settings_are_named(wrong):
    with pytest.raises(SettingError, match=f"VICReg: {next(iter(wrong))} = "):
        VICReg(**wrong)
