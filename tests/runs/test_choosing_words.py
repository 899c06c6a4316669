"""What is said of a choice reads as a person would write it, whoever votes."""

from dataclasses import replace

import numpy as np
import pytest

from feint.metrics.two_sample import TWO_SAMPLE_AUROC
from feint.runs.candidates import Candidate
from feint.runs.choosing import Choice, choice_record, choice_warnings
from feint.runs.recipes import Recipe, whole_range
from feint.stats.paired_bootstrap import compare
from feint.tuning.selection import Selection

MIXTURES = ("mixture", "mixture-again")
THREE = ("mixture", "autoencoder", "mixture-again")


def choice(voters, *, shift=0.0, joined=(), decided=False, failed=()) -> Choice:
    """Return a choice among four candidates; all but `none` score half of the unlabelled images higher by `shift`."""
    chance = np.random.default_rng(0)
    candidates = []
    for name, kind in (("none", "none"), ("mixture", "random"), ("mixture-again", "random"), ("autoencoder",) * 2):
        held_out, unlabelled = chance.normal(size=60), chance.normal(size=80)
        unlabelled[:40] += shift * (name != "none")
        makings = (whole_range("rotation"),) if kind == "random" else ()
        recipe = Recipe(detector="ae" if kind == "autoencoder" else "discriminator", makings=makings)
        candidates.append(Candidate(name, kind, 32, (recipe,), f"train-0-{name}", (held_out,), (unlabelled,)))
    names = [each.name for each in candidates]
    rows = [names.index(name) for name in voters]
    held_out = np.stack([each.held_out[0] for each in candidates])
    unlabelled = np.stack([each.unlabelled[0] for each in candidates])
    if len(rows) > 1:
        held_out, unlabelled = (np.vstack([each, each[rows].mean(axis=0)]) for each in (held_out, unlabelled))
    comparison = compare(held_out, unlabelled, criterion=TWO_SAMPLE_AUROC, seed=0)
    selection = Selection(
        voters=tuple(rows), joined=tuple(names.index(name) for name in joined), decided=decided, comparison=comparison
    )
    left_out = [(replace(candidates[0], name=name), "its scores are constant.") for name in failed]
    return Choice(candidates, left_out, selection, comparison, [[candidates[c] for c in rows]])


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (choice(("mixture",)), "no training at all; the fixed default, mixture, is used ("),
        (choice(MIXTURES), "no training at all; the fixed default, mixture and mixture-again, is used ("),
        (choice(THREE, joined=("autoencoder",)), "at all; mixture, autoencoder and mixture-again are used ("),
        (choice(("autoencoder",), joined=("autoencoder",)), "no training at all; autoencoder is used ("),
        (choice(MIXTURES, shift=4), "default, which is used: mixture and mixture-again (+"),
        (
            choice(THREE, shift=4, joined=("autoencoder",)),
            "which is used together with what scored a little higher: mixture, autoencoder and mixture-again (",
        ),
        (
            choice(THREE, shift=4, joined=("autoencoder",), decided=True),
            "What fits these images: mixture, autoencoder and mixture-again (",
        ),
        (choice(("autoencoder",), shift=4), "No augmentation is needed here: autoencoder tells these images apart"),
        (choice(("autoencoder",) * 2, shift=4), "here: autoencoder and autoencoder tell these images apart best ("),
    ],
)
def test_voters_are_listed_as_in_a_sentence(made, said):
    assert said in choice_record(made, {32: (32, 32)}).sentence


@pytest.mark.parametrize(
    ("failed", "said"),
    [(("a",), "1 candidate failed and was left out"), (("a", "b"), "2 candidates failed and were left out, e.g. a:")],
)
def test_failed_candidates_are_counted_in_words(failed, said):
    assert (
        said
        in {each.code: each.message for each in choice_warnings(choice(MIXTURES, failed=failed), [])}[
            "failed-candidates"
        ]
    )
