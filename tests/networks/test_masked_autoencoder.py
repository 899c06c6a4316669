import numpy as np
import pytest
import torch

from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.networks.masked_autoencoder import MaskedAutoencoder
from feint.networks.vit import ViT, patchify, positions, unpatchify

PATCHES = 16


def images(n=3, channels=3):
    return torch.rand(n, channels, 16, 16, generator=stream(0, "images")).double()


def noise(n=3):
    return torch.rand(n, PATCHES, generator=stream(0, "noise")).double()


def small(channels=3, *, share=0.75, norm_eps=1e-3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = ViT(channels, patch=4, width=16, depth=2, heads=2)
        network = MaskedAutoencoder(encoder, decoder_width=8, decoder_depth=2, share=share, norm_eps=norm_eps)
    return network.double()


@pytest.mark.parametrize(("share", "kept"), [(0.75, 4), (0.9, 1), (0.5, 8), (0.1, 14), (0.01, 15), (0.9375, 1)])
def test_the_patches_with_the_smallest_noise_are_kept(share, kept):
    prediction, masked = small(share=share)(images(), noise())
    assert prediction.shape == (3, PATCHES, 48)
    for chance, hidden in zip(noise().numpy(), masked.numpy(), strict=True):
        assert sorted(np.flatnonzero(~hidden)) == sorted(np.argsort(chance)[:kept])


def test_targets_are_each_patch_normalised():
    found = small(norm_eps=1e-2).targets(images())
    for patches, targets in zip(patchify(images(), 4).numpy(), found.numpy(), strict=True):
        for patch, target in zip(patches, targets, strict=True):
            np.testing.assert_allclose(target, (patch - patch.mean()) / np.sqrt(patch.var(ddof=1) + 1e-2), rtol=1e-9)


def test_targets_of_flat_images_are_finite():
    assert torch.equal(small().targets(torch.full((1, 3, 16, 16), 0.5).double()), torch.zeros(1, PATCHES, 48).double())


def test_prediction_sees_nothing_of_what_is_masked():
    network = small()
    before, masked = network(images(), noise())
    hidden = torch.rand(3, PATCHES, 48, generator=stream(1, "hidden")).double()
    changed = patchify(images(), 4).where(~masked[:, :, None], hidden)
    assert torch.equal(network(unpatchify(changed, 4, (16, 16)), noise())[0], before)
    visible = patchify(images(), 4).where(masked[:, :, None], hidden)
    assert not torch.allclose(network(unpatchify(visible, 4, (16, 16)), noise())[0], before)


def test_decoder_gets_tokens_at_their_places_and_mask_tokens_elsewhere():
    """Written out patch by patch."""
    network, x, chance = small(), images(1), noise(1)
    prediction, masked = network(x, chance)
    kept = chance[0].argsort()[:4].tolist()
    tokens = network.embedded(network.encoder.tokens(x, torch.tensor([kept])))[0]
    rows = [tokens[0]]
    for place in range(PATCHES):
        token = network.mask[0, 0] if masked[0, place] else tokens[1 + kept.index(place)]
        rows.append(token + positions(4, 4, 8)[place].double())
    expected = network.pixels(network.decoder(torch.stack(rows)[None]))[:, 1:]
    torch.testing.assert_close(prediction, expected)


def test_errors_are_of_masked_patches_only():
    network = small()
    prediction, masked = network(images(), noise())
    errors = network.errors(images(), noise())
    assert torch.equal(errors.isnan(), ~masked)
    expected = ((prediction - network.targets(images())) ** 2).mean(-1)
    torch.testing.assert_close(errors[masked], expected[masked])


def test_loss_of_masked_patches_gives_every_weight_a_finite_gradient_and_falls():
    network = small()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        errors = network.errors(images(), noise())
        loss = errors[~errors.isnan()].mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"share": 0.0}, "between 0 and 1"),
        ({"share": 1.0}, "between 0 and 1"),
        ({"share": float("nan")}, "between 0 and 1"),
        ({"norm_eps": 0.0}, "positive"),
    ],
)
def test_impossible_settings_are_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        small(**settings)


def test_patches_of_one_value_are_refused():
    encoder = ViT(1, patch=1, width=8, depth=1, heads=1)
    with pytest.raises(SettingError, match="larger patches"):
        MaskedAutoencoder(encoder, decoder_width=8, decoder_depth=1, share=0.75, norm_eps=1e-3)


def test_too_few_patches_are_refused():
    with pytest.raises(SettingError, match="of 16 patches, 0 would be seen"):
        small(share=0.95)(images(), noise())


def test_bfloat16_autocast_runs():
    network = small().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        errors = network.errors(images().float(), noise())
    exact = network.errors(images().float(), noise())
    torch.testing.assert_close(errors.float(), exact, rtol=0.05, atol=0.05, equal_nan=True)
