"""What a refit says of old and new, from tables alone."""

import numpy as np
import pandas as pd
import pytest

from feint.records.refit import Roles
from feint.runs.refit_judging import Parent, refit_record
from feint.runs.refit_marks import Known

NAMES = [f"{i:02d}.png" for i in range(40)]


def compared(kept: int):
    """Return the record of a refit that is plainly better, on `kept` images of each kind."""
    noise = np.random.default_rng(0).normal(size=40)
    truth = np.arange(40) >= 20
    old, new = (pd.DataFrame({"path": NAMES, "score": noise + shift * truth, "flagged": 0}) for shift in (0.0, 4.0))
    roles = Roles(
        fitted_anomalous=[], fitted_normal=[], judged_normal=NAMES[:kept], judged_anomalous=NAMES[20 : 20 + kept],
        left_out=[],
    )  # fmt: skip
    return recorded(old, new, roles)


def recorded(old, new, roles):
    known = Known(NAMES, (), frozenset(), frozenset())
    return refit_record(old, new, roles, known=known, parent=Parent("run", "0"), seed=0)


def test_ten_of_each_kind_tell_which_is_better():
    found = compared(10)
    assert found.difference.value == pytest.approx(found.new.auroc.value - found.old.auroc.value)
    assert 0 < found.difference.low <= found.difference.value <= found.difference.high
    assert "It is better than the old one" in found.sentence
    assert f"95 % interval {found.difference.low:+.3f} to" in found.sentence


def test_fewer_have_no_interval_that_says_otherwise():
    found = compared(9)
    assert found.difference is None
    assert "too few to tell which is better" in found.sentence
    assert f"the AUROC is {found.new.auroc.value:.3f} instead of {found.old.auroc.value:.3f}; of 9" in found.sentence
    assert "interval" not in found.sentence


def test_flags_that_stand_against_marks_are_named():
    roles = Roles(
        fitted_anomalous=NAMES[20:23], fitted_normal=NAMES[:7], judged_normal=[], judged_anomalous=[], left_out=[]
    )

    def sentence(*flagged):
        table = pd.DataFrame({"path": NAMES, "score": 0.0, "flagged": np.isin(np.arange(40), flagged).astype(int)})
        return recorded(table, table, roles).sentence

    assert sentence(*range(6), 20, 22, 30).endswith(
        " Marks do not overrule the threshold: 6 learned as normal are flagged (00.png, 01.png, 02.png, 03.png, "
        "04.png, ...) and 1 learned as anomalous is not (21.png)."
    )
    assert "overrule" not in sentence(20, 21, 22)
