"""Batch normalisation over one process, and over two."""

import json
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from feint.core.errors import InputError
from feint.core.streams import stream
from feint.networks.batch_norm import GlobalBatchNorm

SHAPES = [(6, 3), (6, 3, 4, 5)]


def batch(shape, name="x"):
    return 30 + 2 * torch.randn(shape, generator=stream(0, name))


def drawn(norm):
    with torch.no_grad():
        for i, value in enumerate(norm.parameters()):
            value.normal_(generator=stream(1, i))
    return norm


@pytest.mark.parametrize("shape", SHAPES)
def test_in_one_process_it_is_torchs_own(shape):
    ours, torchs = drawn(GlobalBatchNorm(3)), nn.BatchNorm1d(3) if len(shape) == 2 else nn.BatchNorm2d(3)
    torchs.load_state_dict(ours.state_dict())
    for step in range(3):
        assert torch.equal(ours(batch(shape, step)), torchs(batch(shape, step)))
    assert all(torch.equal(a, b) for a, b in zip(ours.buffers(), torchs.buffers(), strict=True))
    assert torch.equal(ours.eval()(batch(shape)), torchs.eval()(batch(shape)))


def test_evaluation_looks_at_no_other_image_and_changes_nothing():
    norm = drawn(GlobalBatchNorm(3))
    norm(batch((6, 3)))
    norm.eval()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    torch.testing.assert_close(norm(batch((6, 3)))[:1], norm(batch((6, 3))[:1]))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_without_affine_there_is_nothing_to_train():
    norm = GlobalBatchNorm(3, affine=False)
    assert not list(norm.parameters())
    found = norm(batch((60, 3)))
    torch.testing.assert_close(found.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.var(0, correction=0), torch.ones(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_a_single_value_per_channel_is_refused_in_training_only(shape):
    norm = GlobalBatchNorm(3)
    with pytest.raises(InputError, match="at least two images"):
        norm(batch(shape))
    assert all(torch.equal(a, b) for a, b in zip(norm.buffers(), GlobalBatchNorm(3).buffers(), strict=True))
    assert norm.eval()(batch(shape)).isfinite().all()


SHARE = """
import datetime, json, sys
import torch
from torch import distributed
from feint.core.streams import stream
from feint.networks.batch_norm import GlobalBatchNorm

rank, store, cases = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
distributed.init_process_group(
    "gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=datetime.timedelta(seconds=300)
)
found = []
for shape, affine, sizes in cases:
    norm = GlobalBatchNorm(3, affine=affine)
    with torch.no_grad():
        for i, value in enumerate(norm.parameters()):
            value.normal_(generator=stream(1, i))
    x = (30 + 2 * torch.randn(shape, generator=stream(0, "x"))).split(sizes)[rank].clone().requires_grad_()
    weights = torch.randn(shape, generator=stream(0, "weights")).split(sizes)[rank]
    y = norm(x)
    (y * weights).sum().backward()
    gradients = {f"d {name}": value.grad for name, value in norm.named_parameters()}
    with torch.no_grad():
        of_one = norm(torch.full((1, *shape[1:]), float(rank)))
    found.append({"y": y, "x": x.grad, "of_one": of_one, **gradients, **dict(norm.named_buffers())})
print(json.dumps([{name: value.tolist() for name, value in each.items()} for each in found]))
distributed.destroy_process_group()
"""
CASES = {
    "vectors": ((6, 3), False, (3, 3)),
    "maps": ((6, 3, 4, 5), True, (3, 3)),
    "uneven shares": ((6, 3, 4, 5), True, (4, 2)),
}


@pytest.fixture(scope="module")
def shares(tmp_path_factory):
    """Return for each case what each of two processes found."""
    store, cases = tmp_path_factory.mktemp("gloo") / "store", json.dumps(list(CASES.values()))
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen([sys.executable, "-c", SHARE, rank, str(store), cases], stdout=subprocess.PIPE, env=alone)
        for rank in ("0", "1")
    ]
    try:
        answers = [process.communicate(timeout=300)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0]
    both = [[{k: torch.tensor(v) for k, v in each.items()} for each in json.loads(answer)] for answer in answers]
    return dict(zip(CASES, zip(*both, strict=True), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_two_processes_are_one(case, shares):
    shape, affine, _ = CASES[case]
    norm = drawn(GlobalBatchNorm(3, affine=affine))
    x = batch(shape).requires_grad_()
    y = norm(x)
    (y * torch.randn(shape, generator=stream(0, "weights"))).sum().backward()
    with torch.no_grad():
        of_one = norm(torch.stack([torch.zeros(shape[1:]), torch.ones(shape[1:])]))

    def close(found, expected):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)

    for name, expected in (("y", y), ("x", x.grad), ("of_one", of_one)):
        close(torch.cat([share[name] for share in shares[case]]), expected.detach())
    for name, expected in norm.named_parameters():
        close(sum(share[f"d {name}"] for share in shares[case]), expected.grad)
    for share in shares[case]:
        for name, expected in norm.named_buffers():
            close(share[name], expected)
