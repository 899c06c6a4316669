import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.networks.vit import ViT, patchify, positions, unpatchify


def images(n=3, channels=1, size=(16, 24)):
    return torch.rand(n, channels, *size, generator=stream(0, "images"))


def small(channels=1, *, depth=4, readout="both"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ViT(channels, patch=4, width=16, depth=depth, heads=2, readout=readout).double()


@settings(deadline=None, max_examples=30)
@given(
    patch=st.integers(1, 5), rows=st.integers(1, 4), columns=st.integers(1, 4), n=st.integers(1, 3), c=st.integers(1, 3)
)
def test_patches_go_back_to_their_images(patch, rows, columns, n, c):
    size = (rows * patch, columns * patch)
    x = images(n, c, size)
    patches = patchify(x, patch)
    assert patches.shape == (n, rows * columns, patch * patch * c)
    assert torch.equal(unpatchify(patches, patch, size), x)


def test_patches_are_counted_row_by_row():
    x = images(1, 3, (8, 12))
    assert torch.equal(patchify(x, 4)[0, 4], x[0, :, 4:8, 4:8].permute(1, 2, 0).flatten())


def test_sides_that_are_no_multiple_of_the_patch_are_refused():
    with pytest.raises(SettingError, match="multiples of the patch, 4 px: got 16 x 22"):
        small()(images(size=(16, 22)))


@pytest.mark.parametrize(("settings", "said"), [({"width": 18, "heads": 4}, "heads"), ({"width": 18, "heads": 2}, "4")])
def test_impossible_widths_are_refused(settings, said):
    with pytest.raises(SettingError, match=f"multiple of (its )?{said}"):
        ViT(1, patch=4, depth=1, **settings)(images())


def test_positions_are_the_formula_of_row_and_column():
    found, d = positions(3, 5, 8), 8
    for row in range(3):
        for column in range(5):
            expected = [
                wave(place * 10_000 ** (-4 * i / d))
                for place in (row, column)
                for wave in (math.sin, math.cos)
                for i in range(d // 4)
            ]
            assert found[row * 5 + column].tolist() == pytest.approx(expected, abs=1e-6)


def independent(state, x, *, patch, heads, blocks):
    """The network with attention written out and the patches embedded by a convolution."""

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def normed(x, name):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()
        return x * state[f"{name}.weight"] + state[f"{name}.bias"]

    d, c = state["norm.weight"].numel(), x.shape[1]
    kernel = state["patches.weight"].reshape(d, patch, patch, c).permute(0, 3, 1, 2)
    cut = F.conv2d(4 * x - 2, kernel, state["patches.bias"], stride=patch)
    tokens = cut.flatten(2).transpose(1, 2) + positions(*cut.shape[2:], d).to(x)
    x = torch.cat([state["cls"].expand(len(x), -1, -1), tokens], dim=1)
    for i in range(blocks):
        q, k, v = linear(normed(x, f"blocks.{i}.norm1"), f"blocks.{i}.queries_keys_values").chunk(3, dim=-1)
        heard = []
        for head in torch.arange(d).chunk(heads):
            weights = (q[..., head] @ k[..., head].transpose(1, 2) / math.sqrt(d / heads)).softmax(-1)
            heard.append(weights @ v[..., head])
        x = x + linear(torch.cat(heard, dim=-1), f"blocks.{i}.mixed")
        hidden = linear(normed(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.0")
        x = x + linear(hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2))), f"blocks.{i}.mlp.2")
    return normed(x, "norm")


def test_tokens_are_those_of_an_independent_network():
    network, x = small(3), images(channels=3).double()
    with torch.no_grad():
        for i, value in enumerate(network.parameters()):
            value.add_(0.1 * torch.randn(value.shape, generator=stream(1, i)))
    expected = independent(network.state_dict(), x, patch=4, heads=2, blocks=4)
    torch.testing.assert_close(network.tokens(x), expected, rtol=1e-9, atol=1e-9)


def test_patches_that_are_not_kept_are_not_looked_at():
    network, x = small(), images(2).double()
    kept = torch.tensor([[3, 0, 7], [23, 1, 2]])
    tokens = network.tokens(x, kept)
    assert tokens.shape == (2, 4, 16)
    patches = patchify(x, 4)
    hidden = torch.ones(2, 24, dtype=torch.bool).scatter(1, kept, value=False)
    changed = unpatchify(patches.where(~hidden[:, :, None], 9.0), 4, (16, 24))
    assert torch.equal(network.tokens(changed, kept), tokens)
    order = network.tokens(x, kept.flip(1))
    torch.testing.assert_close(order[:, 1:], tokens[:, 1:].flip(1))
    torch.testing.assert_close(order[:, 0], tokens[:, 0])


def test_all_kept_is_all():
    network, x = small(), images(2).double()
    torch.testing.assert_close(network.tokens(x, torch.arange(24).expand(2, -1)), network.tokens(x))


def test_forward_embeddings_and_maps_are_read_from_the_tokens():
    network, x = small(), images().double()
    tokens = network.tokens(x)
    mean = tokens[:, 1:].mean(1)
    assert torch.equal(network(x), tokens[:, 0])
    assert torch.equal(network.embed(x), torch.cat([tokens[:, 0], mean], dim=1))
    assert torch.equal(small(readout="mean").embed(x), mean)
    assert (network.width, network.embedding_size, small(readout="mean").embedding_size) == (16, 32, 16)
    torch.testing.assert_close(network.maps(x)[-1], tokens[:, 1:].transpose(1, 2).reshape(3, 16, 4, 6))


@pytest.mark.parametrize(("depth", "read"), [(4, [1, 2, 3, 4]), (12, [3, 6, 9, 12]), (2, [1, 1, 2, 2])])
def test_maps_are_of_evenly_spaced_depths(depth, read):
    network, x = small(depth=depth), images(1).double()
    maps = network.maps(x)
    for found, blocks in zip(maps, read, strict=True):
        expected = independent(network.state_dict(), x, patch=4, heads=2, blocks=blocks)[:, 1:]
        torch.testing.assert_close(found.flatten(2).transpose(1, 2), expected)


def test_every_weight_has_a_gradient():
    network = small()
    network.tokens(images().double()).square().sin().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())
