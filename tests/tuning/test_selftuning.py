"""One start of the tuner: its path, its verdicts, and that it finds what was planted."""

from dataclasses import replace

import pytest
import torch
from small_tuning import CUTDIFF_AT, NORMAL, POOL, STARTS, TINY
from torch import nn

from feint.augmentations import Brightness, CutDiff, CutOut, Rotation
from feint.core.augmentation import Policy
from feint.core.errors import SettingError
from feint.core.streams import stream
from feint.metrics.roc import auroc
from feint.testing.promises import global_generators_untouched
from feint.tuning.selftuning import _Start


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tune(recipe, *, normals=NORMAL, pool=POOL, augmentation=CutDiff(), start=CUTDIFF_AT, seed=0):  # noqa: B008
    lines = []
    tuned = recipe.run(normals, pool, augmentation=augmentation, start=start, seed=seed, log=lambda *x: lines.append(x))
    return tuned, lines


# --- the path -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("augmentation", "values"), STARTS)
def test_one_seed_is_one_path_bit_for_bit(augmentation, values):
    runs = [tune(TINY, augmentation=augmentation, start=values, seed=seed) for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_the_global_generator_stays_untouched():
    with global_generators_untouched("tuning"):
        tune(TINY)


def test_the_log_has_a_line_per_update_and_the_end_is_the_mean_of_the_last_quarter():
    """An angle is linear in what is averaged."""
    tuned, lines = tune(replace(TINY, updates=12), augmentation=Rotation(), start={"angle": 100.0})
    assert [line[0] for line in lines] == list(range(12))
    assert all(torch.tensor(line[1:3]).isfinite().all() for line in lines)
    last = [line[3]["angle"] for line in lines[-3:]]
    assert tuned.magnitudes["angle"] == pytest.approx(sum(last) / 3, abs=1e-3)


def test_angles_are_reported_within_one_turn():
    _, lines = tune(replace(TINY, turn_rate=0.3), augmentation=Rotation(), start={"angle": 350.0})
    assert all(0 <= line[3]["angle"] < 360 for line in lines)
    assert len({line[3]["angle"] for line in lines}) == len(lines)


def test_magnitudes_stay_in_their_ranges_at_any_rate():
    tuned, lines = tune(replace(TINY, magnitude_rate=50.0))
    for values in [tuned.magnitudes, *(line[3] for line in lines)]:
        for m in CutDiff.magnitudes:
            low, high = (m.low, m.high) if m.scale == "periodic" else m.natural(torch.tensor([-6.0, 6.0])).tolist()
            assert low - 1e-6 <= values[m.name] <= high + 1e-6


def test_first_order_takes_another_path():
    assert tune(TINY)[1] != tune(replace(TINY, order="first"))[1]


def test_nuisances_reach_the_path():
    brightness = Policy(augmentation=Brightness(), low=(0.8,), high=(1.25,))
    assert tune(TINY)[1] != tune(replace(TINY, nuisances=(brightness,)))[1]


# --- verdicts -----------------------------------------------------------------------------------------------------

STILL = replace(TINY, updates=1, magnitude_rate=0.0, turn_rate=0.0)


@pytest.mark.parametrize(
    ("augmentation", "values"),
    [(CutDiff(), CUTDIFF_AT | {"amplitude": 0.0}), (Rotation(), {"angle": 0.0}), (Rotation(), {"angle": 360.0})],
    ids=["amplitude_0", "angle_0", "angle_360"],
)
def test_the_identity_is_a_failed_start(augmentation, values):
    tuned, _ = tune(replace(STILL, warm_start=20), augmentation=augmentation, start=values)
    assert tuned.status == "identity"
    assert "cannot be told from normal images" in tuned.note


def test_a_patch_that_is_seen_by_the_eye_and_not_by_the_detector_is_a_failed_start():
    tuned, _ = tune(STILL, start=CUTDIFF_AT | {"area": 0.003, "amplitude": 0.05})
    assert tuned.status == "identity"
    assert tuned.separability < 0.6


class Microscope(nn.Module):
    """A classifier that sees any darkening, however faint."""

    def forward(self, images):
        return images.flatten(1), -images.double().mean((1, 2, 3))


def test_a_patch_that_is_told_by_the_detector_and_not_seen_by_the_eye_is_a_failed_start():
    start = _Start(TINY, NORMAL[:1].repeat(30, 1, 1, 1), POOL, CutDiff(), seed=0)
    start.network = Microscope()
    verdicts = [start._judge(CutDiff().free(CUTDIFF_AT | {"amplitude": b, "area": 0.3})) for b in (0.003, 0.01)]
    assert [each.separability for each in verdicts] == [1.0, 1.0]
    assert [each.status for each in verdicts] == ["identity", "ok"]


def test_a_patch_that_the_detector_tells_is_a_success():
    tuned, _ = tune(replace(STILL, warm_start=60), start=CUTDIFF_AT | {"amplitude": 0.8})
    assert (tuned.status, tuned.note) == ("ok", "")
    assert tuned.separability > 0.9


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_images_of_one_grey_are_never_a_success(angle):
    grey = torch.full((30, 1, 20, 18), 128, dtype=torch.uint8)
    tuned, _ = tune(TINY, normals=grey, pool=grey, augmentation=Rotation(), start={"angle": angle})
    assert tuned.status != "ok"


def test_separability_and_variance_equal_their_formulas():
    start = _Start(TINY, NORMAL, POOL, CutDiff(), seed=0)
    rho = CutDiff().free(CUTDIFF_AT)
    for _ in range(10):
        start._plain_step(rho)
    chance = start.chance.get_state()
    tuned = start._judge(rho)
    start.chance.set_state(chance)
    with torch.no_grad():
        images = start._batch(NORMAL, 160)
        pseudo = CutDiff().apply(images, CutDiff().draw(images, generator=start.chance), CutDiff().natural(rho))
        normal, changed = start.network(images)[1], start.network(pseudo)[1]
        pool = start.network(start._batch(POOL, 160))[1]
    assert tuned.separability == auroc(normal.numpy(), changed.numpy())
    standardised = (pool - normal.mean()) / normal.std(correction=0)
    assert tuned.variance == pytest.approx(standardised.var(correction=0).item(), rel=1e-4)


def test_no_updates_end_where_they_start():
    tuned, lines = tune(replace(TINY, updates=0), start=CUTDIFF_AT | {"amplitude": 0.0})
    assert tuned.status == "identity"
    assert lines == []


def test_a_diverging_start_is_collapsed_not_a_complaint_about_the_images():
    tuned, _ = tune(replace(TINY, rate=1e30))
    assert tuned.status == "collapsed"


def test_an_augmentation_without_gradient_is_refused():
    with pytest.raises(SettingError, match="cutout"):
        tune(TINY, augmentation=CutOut(), start={"area": 0.1, "aspect": 1.0})


# --- recovery -----------------------------------------------------------------------------------------------------


def wedges(n, name, *, turned):
    """Return bright wedges that fade downwards, shifted and dimmed at random, upside down if turned: 20 px, uint8."""
    chance = stream(0, "wedges", name)
    y, x = torch.arange(20)[:, None] - 9.5, torch.arange(20)[None, :] - 9.5
    wedge = 0.8 * torch.sigmoid(-y / 2) * torch.exp(-(x**2) / 40)
    wedge = wedge.flip(0, 1) if turned else wedge
    shifts = torch.randint(-1, 2, (n, 2), generator=chance).tolist()
    images = torch.stack([wedge.roll(shift, (0, 1)) for shift in shifts])[:, None]
    images = images * (0.8 + 0.2 * torch.rand(n, 1, 1, 1, generator=chance))
    return ((images + 0.05 * torch.rand(n, 1, 20, 20, generator=chance)).clamp(0, 1) * 255).to(torch.uint8)


@pytest.mark.parametrize("angle", [135.0, 225.0])
def test_a_half_turn_is_found_from_both_sides(angle):
    pool = torch.cat([wedges(40, "upright", turned=False), wedges(40, "turned", turned=True)])
    recipe = replace(TINY, warm_start=20, updates=25, batch=16, sample=32, turn_rate=0.015)
    tuned, lines = tune(
        recipe, normals=wedges(80, "normal", turned=False), pool=pool, augmentation=Rotation(), start={"angle": angle}
    )
    assert tuned.status == "ok"
    assert abs(tuned.magnitudes["angle"] - 180) < 20
    assert lines[-1][1] < lines[0][1]
