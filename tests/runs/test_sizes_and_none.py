"""With several image sizes, names carry the size: `none` is still found, and failures keep their kind."""

import numpy as np
from small_runs import SIDE

from feint.runs.candidates import Candidate
from feint.runs.choosing import candidate_records, choice_record, choose
from feint.runs.recipes import Recipe, whole_range

SIZES = {64: (64, 64), 128: (128, 128)}


def candidate(name: str, kind: str, px: int, shift: float) -> Candidate:
    """Return a candidate whose scores of half of the unlabelled images are higher by `shift`."""
    chance = np.random.default_rng(SIDE + px)
    held_out, unlabelled = chance.normal(size=60), chance.normal(size=80)
    unlabelled[:40] += shift
    makings = () if kind in {"none", "autoencoder"} else (whole_range("rotation"),)
    recipe = Recipe(detector="ae" if kind == "autoencoder" else "discriminator", makings=makings)
    return Candidate(name, kind, px, (recipe,), f"train-0-{name}", (held_out,), (unlabelled,))


def test_none_is_found_at_the_size_where_it_does_best():
    weighed = [
        candidate("none-64px", "none", 64, 0.2),
        candidate("none-128px", "none", 128, 1.0),
        candidate("mixture-64px", "random", 64, 4.0),
    ]
    choice = choose(weighed, seed=0)
    assert choice.none == 1
    record = choice_record(choice, SIZES)
    assert record.advantage_over_none.value == choice.comparison.values[2] - choice.comparison.values[1]
    assert record.verdict == "augmentation"


def test_a_failed_candidate_keeps_its_kind_and_size():
    failed = candidate("autoencoder-128px", "autoencoder", 128, np.nan)
    choice = choose([candidate("mixture-64px", "random", 64, 1.0), failed], seed=0)
    record = candidate_records(choice, SIZES)[-1]
    assert (record.name, record.kind, record.augmentation) == ("autoencoder-128px", "autoencoder", "none")
    assert (record.size, record.status) == ((128, 128), "failed")
