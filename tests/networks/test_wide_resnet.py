import torch

from feint.core.streams import stream
from feint.networks.wide_resnet import WideResNet


def test_wrn_10_4_has_the_layers_of_the_paper():
    network = WideResNet(3)
    convolutions = 9 * (3 * 16 + 16 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 256 * 256)
    shortcuts = 16 * 64 + 64 * 128 + 128 * 256
    norms = 2 * (16 + 64 + 64 + 128 + 128 + 256 + 256)
    assert sum(p.numel() for p in network.parameters()) == convolutions + shortcuts + norms
    assert network.embedding_size == 256


def test_maps_halve_and_the_mean_of_the_last_embeds():
    images = torch.rand(2, 1, 21, 16, generator=stream(0, "images"))
    network = WideResNet(1, width=8, depth=16, widen=1)
    with torch.no_grad():
        maps = network.maps(images)
        assert [tuple(m.shape) for m in maps] == [(2, 8, 21, 16), (2, 16, 11, 8), (2, 32, 6, 4)]
        assert torch.equal(network(images), maps[-1].mean((2, 3)))
    assert [len(stage) for stage in network.stages] == [2, 2, 2]


def test_images_do_not_mix():
    images = torch.rand(3, 1, 16, 16, generator=stream(0, "images"))
    network = WideResNet(1, width=8, widen=1)
    with torch.no_grad():
        torch.testing.assert_close(network(images)[1:2], network(images[1:2]))
