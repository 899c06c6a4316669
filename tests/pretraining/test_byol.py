import math

import pytest
import torch

from feint.core.errors import InputError, SettingError
from feint.core.streams import stream
from feint.networks.architectures import build
from feint.pretraining.byol import BYOL, byol_loss
from feint.pretraining.momentum import momentum


def rows(*names):
    return torch.randn(6, 4, generator=stream(0, "rows", *names), dtype=torch.float64)


def four():
    return rows("pa"), rows("zb"), rows("pb"), rows("za")


def made(**settings):
    return BYOL(**settings).learner(build("resnet8", channels=1, size=(8, 8), seed=0), seed=0)


def views():
    return [torch.rand(6, 1, 8, 8, generator=stream(0, "view", i)) for i in range(2)]


def loss_of(learner):
    return learner.loss(views(), generator=stream(0), progress=0.0)


def test_it_is_the_squared_distance_of_unit_vectors():
    """Equation 2 of the paper, row by row."""
    pa, zb, pb, za = four()
    distances = [
        float(((p / p.norm() - z / z.norm()) ** 2).sum())
        for ps, zs in ((pa, zb), (pb, za))
        for p, z in zip(ps, zs, strict=True)
    ]
    assert float(byol_loss(pa, zb, pb, za)) == pytest.approx(sum(distances) / len(distances), rel=1e-12)


def test_closed_forms():
    pa, _, pb, _ = four()
    assert float(byol_loss(pa, 2 * pa, pb, 3 * pb)) == pytest.approx(0, abs=1e-12)
    assert float(byol_loss(pa, -pa, pb, -pb)) == pytest.approx(4, rel=1e-12)
    assert float(byol_loss(pa, pa, pb, -pb)) == pytest.approx(2, rel=1e-12)


def test_gradient_reaches_the_predictions_alone():
    pa, zb, pb, za = (each.requires_grad_() for each in four())
    assert torch.autograd.gradcheck(lambda a, b: byol_loss(a, zb.detach(), b, za.detach()), (pa, pb))
    byol_loss(pa, zb, pb, za).backward()
    assert pa.grad.any() and pb.grad.any()
    assert zb.grad is None and za.grad is None


def test_the_teacher_begins_as_the_student_and_follows_its_weights_alone():
    learner = made(momentum=0.8)
    before = {name: value.clone() for name, value in learner.teacher.state_dict().items()}
    assert torch.equal(before["0.conv1.weight"], learner.encoder.conv1.weight)
    with torch.no_grad():
        for weight in learner.trained():
            weight.add_(1.0)
    learner.encoder.bn1.running_mean.add_(5.0)
    learner.after_step(0.5)
    moved = 1 - momentum(0.8, 0.5)
    for name, weight in learner.teacher.named_parameters():
        assert torch.allclose(weight, before[name] + moved, atol=1e-5), name
    for name, buffer in learner.teacher.named_buffers():
        if name in before:
            assert torch.equal(buffer, before[name]), name


def test_the_teacher_normalises_by_the_batch_it_sees():
    learner = made()
    before = learner.teacher[0].bn1.running_mean.clone()
    loss_of(learner)
    assert not torch.equal(learner.teacher[0].bn1.running_mean, before)


def test_no_gradient_reaches_the_teacher():
    learner = made()
    loss_of(learner).backward()
    assert all(weight.grad is None for weight in learner.teacher.parameters())
    assert all(weight.grad.any() for weight in learner.trained())


def test_the_loss_does_not_tell_a_collapse():
    learner = made()
    with torch.no_grad():
        for net in (learner.projector, learner.teacher[1], learner.predictor):
            net[-1].weight.zero_()
            net[-1].bias.fill_(1.0)
    assert float(loss_of(learner).detach()) == pytest.approx(0, abs=1e-6)
    assert learner.floor(6) is None


def test_a_batch_of_one_is_refused():
    with pytest.raises(InputError, match="at least 2 of them: got 1"):
        made().loss([view[:1] for view in views()], generator=stream(0), progress=0.0)


@pytest.mark.parametrize("wrong", [{"momentum": 1.1}, {"momentum": math.nan}, {"hidden": 0}, {"out": 0}])
def test_impossible_settings_are_named(wrong):
    with pytest.raises(SettingError, match=f"BYOL: {next(iter(wrong))} = "):
        BYOL(**wrong)
