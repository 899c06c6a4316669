"""A tuner of few steps, and toy images for it: half of the unlabelled ones have a dark band."""

import pytest

from feint.augmentations import CutDiff, Rotation
from feint.testing.detectors import normal_images
from feint.tuning.selftuning import SelfTuner

TINY = SelfTuner(width=8, depth=3, warm_start=8, updates=6, between=1, batch=8, sample=8)
CUTDIFF_AT = {"area": 0.08, "aspect": 0.5, "angle": 30.0, "amplitude": 0.3}
STARTS = [pytest.param(CutDiff(), CUTDIFF_AT, id="cutdiff"), pytest.param(Rotation(), {"angle": 40.0}, id="rotation")]
NORMAL, POOL = normal_images(40, "normal"), normal_images(40, "pool")
POOL[:20, :, 5:9] -= 60
