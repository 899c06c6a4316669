"""The small encoder: shapes, cost as documented, and what differentiating it twice demands."""

import numpy as np
import pytest
import torch
from torch import nn

from feint.core.streams import stream
from feint.networks.conv import Classifier, ConvEncoder, multiplications, pooled


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def images(n, size=(20, 17), channels=1):
    return torch.rand(n, channels, *size, generator=stream(0, "images"))


@pytest.mark.parametrize(("channels", "width", "depth"), [(1, 8, 2), (3, 16, 4), (1, 8, 5)])
def test_maps_shrink_by_two_rounded_up_and_double_their_channels(channels, width, depth):
    encoder = ConvEncoder(channels, width=width, depth=depth)
    h, w = 20, 17
    for i, found in enumerate(encoder.maps(images(2, channels=channels))):
        h, w = (h + 1) // 2, (w + 1) // 2
        assert found.shape == (2, width * 2 ** min(i, 3), h, w)
    assert encoder(images(2, channels=channels)).shape == (2, encoder.embedding_size)


def test_embedding_is_the_mean_of_the_last_map_and_the_logit_comes_from_it():
    classifier = Classifier(1, width=8, depth=3)
    embeddings, logits = classifier(images(4))
    assert torch.allclose(embeddings, classifier.encoder.maps(images(4))[-1].mean((2, 3)))
    assert torch.equal(logits, classifier.head(embeddings)[:, 0])


def test_an_image_is_the_same_alone_and_in_a_batch_in_training_too():
    classifier = Classifier(1, width=8, depth=3).train()
    together = classifier(images(6))[1]
    alone = torch.cat([classifier(image[None])[1] for image in images(6)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_no_state_beside_the_weights():
    assert list(Classifier(1).buffers()) == []


def test_multiplications_equal_a_count_of_every_convolution():
    encoder = ConvEncoder(3, width=16, depth=4)
    counted = []

    def count(layer: nn.Conv2d, inputs, output):
        counted.append(output[0].numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1])

    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    encoder(images(1, size=(37, 50), channels=3))
    assert multiplications(3, (37, 50), width=16, depth=4) == sum(counted)


def test_parameters_as_documented():
    assert round(sum(p.numel() for p in ConvEncoder(1).parameters()), -3) == 97_000


def test_pooled_is_mean_maximum_and_spread_of_every_map():
    maps = ConvEncoder(1, width=8, depth=3).maps(images(2))
    flat = [m.flatten(2).detach().numpy() for m in maps]
    expected = np.concatenate([x for m in flat for x in (m.mean(2), m.max(2), m.std(2))], axis=1)
    assert np.allclose(pooled(maps).detach().numpy(), expected, atol=1e-6)


def test_the_second_derivative_is_exact():
    """Gradient of a gradient's length by an image, against central differences along one direction."""
    classifier = Classifier(1, width=8, depth=2).double()
    x = images(3, size=(8, 8)).double()
    direction = torch.randn(x.shape, generator=stream(0, "direction"), dtype=torch.float64)

    def squared_length(x):
        gradients = torch.autograd.grad(classifier(x)[1].sum(), list(classifier.parameters()), create_graph=True)
        return sum((g**2).sum() for g in gradients)

    leaf = x.clone().requires_grad_()
    found = (torch.autograd.grad(squared_length(leaf), leaf)[0] * direction).sum()
    h = 1e-7
    wanted = (squared_length(x + h * direction) - squared_length(x - h * direction)) / (2 * h)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
