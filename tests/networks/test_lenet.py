"""The LeNets of Deep SVDD: those of the literature, their generalisation to other images, and no way to cheat."""

import pytest
import torch
from torch import nn

from feint.core.errors import InputError
from feint.core.streams import stream
from feint.networks.lenet import LeNet, LeNetDecoder, lenet

KINDS = [(3, (32, 32)), (1, (28, 28)), (1, (32, 32)), (1, (20, 18)), (3, (16, 16)), (4, (23, 40)), (1, (16, 200))]


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def images(channels, size, n=5):
    return torch.rand(n, channels, *size, generator=stream(0, "images"))


@pytest.mark.parametrize(
    ("channels", "px", "shapes"),
    [
        (3, 32, [(32, 3, 5, 5), (64, 32, 5, 5), (128, 64, 5, 5), (128, 2048)]),
        (1, 28, [(16, 1, 5, 5), (32, 16, 5, 5), (128, 1568), (64, 128)]),
    ],
    ids=["colour", "grey"],
)
def test_the_networks_of_the_literature(channels, px, shapes):
    network = lenet(channels, (px, px))
    assert [tuple(p.shape) for p in network.parameters()] == shapes
    assert parameters(network) == {3: 520_544, 1: 222_096}[channels]
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert {m.eps for m in norms} == {1e-4}
    assert len(norms) == 3


@pytest.mark.parametrize("channels", [1, 3])
def test_one_block_is_convolution_norm_leak_and_maximum(channels):
    network = lenet(channels, (20, 18), width=4).eval()
    x = images(channels, (20, 18))
    y = nn.functional.conv2d(x, network.blocks[0][0].weight, padding=2) / (1 + 1e-4) ** 0.5
    y = torch.where(y > 0, y, 0.01 * y).unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
    assert torch.allclose(network.maps(x)[0], y, atol=1e-6)


@pytest.mark.parametrize(("channels", "size"), KINDS)
def test_images_of_every_kind_are_embedded_and_decoded_to_their_own_size(channels, size):
    encoder = lenet(channels, size, width=4)
    x = images(channels, size)
    z, found = encoder(x), LeNetDecoder(encoder)(encoder(x))
    assert z.shape == (5, encoder.embedding_size)
    assert found.shape == x.shape
    assert found.min() >= 0
    assert found.max() <= 1
    assert [tuple(m.shape[1:]) for m in encoder.maps(x)] == [
        (c, *s) for c, s in zip(encoder.channels[1:], encoder.sizes[1:], strict=True)
    ]


def test_larger_images_get_further_blocks_so_that_the_linear_layer_stays_small():
    assert lenet(3, (64, 64), width=4).sizes[-1] == (8, 8)
    assert lenet(3, (256, 256), width=4).sizes[-1] == (8, 8)
    assert lenet(3, (256, 256), width=4).channels == [3, 4, 8, 16, 16, 16]


@pytest.mark.parametrize(("channels", "size"), KINDS)
def test_nothing_has_a_bias_or_a_learnable_shift(channels, size):
    encoder = lenet(channels, size, width=4)
    for network in (encoder, LeNetDecoder(encoder)):
        assert {name.rpartition(".")[2] for name, _ in network.named_parameters()} == {"weight"}
        assert all(p.ndim > 1 for p in network.parameters())


def test_encoder_and_decoder_learn_what_tells_images_apart():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        encoder = lenet(1, (20, 18), width=4)
        both = nn.Sequential(encoder, LeNetDecoder(encoder))
    x = torch.full((8, 1, 20, 18), 0.2)
    x[::2, :, :, :9] = x[1::2, :, :, 9:] = 0.8
    optimiser = torch.optim.Adam(both.parameters(), lr=1e-2)
    for _ in range(40):
        loss = nn.functional.mse_loss(both(x), x)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    assert float(loss.detach()) < 0.3 * 0.3**2  # 0.3**2 is what the mean image gets


def test_images_too_small_are_refused():
    with pytest.raises(InputError, match="16 px a side: got 15 x 40"):
        lenet(3, (15, 40))


def test_blocks_and_head_are_free():
    network = LeNet(2, (16, 16), blocks=(3, 5), head=(7, 6, 4))
    assert network(images(2, (16, 16))).shape == (5, 4)
    assert [m.out_features for m in network.head if isinstance(m, nn.Linear)] == [7, 6, 4]
    assert isinstance(network.head[-1], nn.Linear)
