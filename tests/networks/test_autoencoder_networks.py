import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from feint.core.streams import stream
from feint.networks.autoencoder import ConvAE, DenseAE, LinearAE


def parameters(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("channels", "px", "expected"), [(3, 32, 4_159_235), (1, 32, 4_156_929), (3, 256, 4_169_219)])
def test_conv_ae_has_the_parameters_of_the_reference(channels, px, expected):
    assert parameters(ConvAE(channels, (px, px))) == expected


def test_dense_and_linear_layers_are_those_of_the_reference():
    d = 3 * 32 * 32
    assert parameters(DenseAE(3, (32, 32))) == (d + 1) * 512 + 513 * 256 + 257 * 512 + 513 * d
    assert parameters(LinearAE(3, (32, 32))) == (d + 1) * 256 + 257 * d


@pytest.mark.parametrize(
    ("px", "kernel", "stride", "maps"), [(32, 3, 2, (2, 2)), (64, 3, 2, (4, 4)), (80, 5, 4, (2, 2))]
)
def test_the_size_chooses_the_column(px, kernel, stride, maps):
    network = ConvAE(1, (px, px), features=2, hidden=3)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert {(m.kernel_size, m.stride) for m in convolutions} == {((kernel,) * 2, (stride,) * 2)}
    flat = next(m for m in network.modules() if isinstance(m, nn.Unflatten))
    assert flat.unflattened_size[1:] == maps


def test_every_decoder_block_but_the_last_is_normalised():
    kinds = [type(m).__name__ for m in ConvAE(3, (32, 32), features=2).decoder]
    block = ["ConvTranspose2d", "BatchNorm2d", "ReLU"]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Unflatten", *block * 3, "ConvTranspose2d", "Sigmoid"]


@settings(deadline=None, max_examples=30)
@given(
    net=st.sampled_from([ConvAE, DenseAE, LinearAE]),
    channels=st.integers(1, 4),
    size=st.tuples(st.integers(16, 70), st.integers(16, 70)),
)
def test_reconstructions_have_the_size_of_the_images(net, channels, size):
    network = net(channels, size, hidden=5) if net is not ConvAE else ConvAE(channels, size, features=2, hidden=5)
    images = torch.rand(2, channels, *size, generator=stream(0, "images"))
    with torch.no_grad():
        embeddings, reconstructions = network(images)
    assert embeddings.shape == (2, 5)
    assert reconstructions.shape == images.shape
    assert 0 <= reconstructions.min() < reconstructions.max() <= 1
    assert net is LinearAE or embeddings.abs().max() < 1
