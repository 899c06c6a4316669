"""The claims of the paper on representations under imbalance, each judged on the rows of a study.

References: Otero, Mateus, Balestriero (2024), Self-Supervised Anomaly Detection in the Wild: Favor Joint Embeddings
Methods, arXiv:2410.04289.

Deviations: the paper states its findings in words; each is made a number here, named in its sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from feint.records.wild import Claim, Estimate, WildVerdict
from feint.studies.findings import signed
from feint.studies.wild_table import MASKED, PROBE, levels_of, over_units, share_of

if TYPE_CHECKING:
    import pandas as pd

NOTABLE_ABOVE = 0.05


def claims(table: pd.DataFrame, *, leading: Estimate | None, rankme: Estimate | None) -> list[Claim]:
    """Return the six claims with their verdicts.

    A claim that a number is above zero holds where all of its interval over units does, does not hold where all of it
    lies below, and is left open between, or where too few units speak.

    Args:
        table: the checkpoints, references too. leading: adjusted variance share of the method minus that of the
            encoder. rankme: regret of choosing by RankMe minus half of that of a random pick.
    """
    trained = table[table["kind"] == "method"]
    return [
        _joint_embedding(trained),
        _method_over_encoder(leading),
        _simclr_resnet(trained),
        _byol_resilient(trained),
        _rankme_fails(rankme),
        _gap_to_supervised(table),
    ]


def _joint_embedding(trained: pd.DataFrame) -> Claim:
    claim = "Joint embedding beats masked reconstruction (MAE)"
    masked = trained["method"] == MASKED
    if not masked.any() or masked.all():
        return _silent(claim, "MAE and a joint-embedding method were not both run")
    shared = set(trained[masked]["encoder"]) & set(trained[~masked]["encoder"])
    if shared:
        trained = trained[trained["encoder"].isin(shared)]
    lead = _lead(trained, trained["method"] != MASKED)
    on = f"on {' and '.join(sorted(shared))}" if shared else "on other encoders than MAE's, as no other method has its"
    return _judged(claim, lead, f"The mean of the joint-embedding methods minus MAE, {on}: AUROC")


def _method_over_encoder(leading: Estimate | None) -> Claim:
    claim = "The method matters more than the encoder"
    if leading is None:
        return _silent(claim, "no two joint-embedding methods were run on two encoders")
    what = "Share of the variance within sets that goes with the method minus that of the encoder, chance taken off:"
    return _judged(claim, leading, what)


def _simclr_resnet(trained: pd.DataFrame) -> Claim:
    claim = f"SimCLR with a ResNet stands out above {NOTABLE_ABOVE:.0%} of anomalies"
    trained = trained[np.array([NOTABLE_ABOVE < share_of(level) < 1 for level in trained["level"]], dtype=bool)]
    resnet = [str(encoder).startswith("resnet") for encoder in trained["encoder"]]
    mine = (trained["method"] == "simclr") & np.array(resnet, dtype=bool)
    if not mine.any() or mine.all():
        return _silent(claim, "SimCLR with a ResNet, or anything beside it, was not run at such a level")
    levels = ", ".join(levels_of(trained))
    return _judged(claim, _lead(trained, mine), f"SimCLR with a ResNet minus the mean of all others at {levels}: AUROC")


def _byol_resilient(trained: pd.DataFrame) -> Claim:
    claim = "BYOL is the most resilient at the lowest level"
    named = [level for level in levels_of(trained) if share_of(level) < 1]
    byol = trained["method"] == "byol"
    if len(named) < 2 or not byol.any() or byol.all():
        return _silent(claim, "BYOL, another method and two levels are needed")
    lowest, highest = named[0], named[-1]
    means = trained.pivot_table(index=["unit", "arm", "method"], columns="level", values=PROBE)
    change = (means[lowest] - means[highest]).dropna().rename(PROBE).reset_index()
    mine = change["method"] == "byol"
    order = change.groupby("method")[PROBE].mean().sort_values(ascending=False)
    place = list(order.index).index("byol") + 1 if "byol" in order.index else 0
    rank = f"BYOL is number {place} of {len(order)}"
    what = f"Change of AUROC from {highest} to {lowest}, BYOL minus the mean of the others ({rank}):"
    return _judged(claim, _lead(change, mine), what)


def _rankme_fails(rankme: Estimate | None) -> Claim:
    claim = "RankMe fails to choose a model"
    if rankme is None:
        return _silent(claim, "RankMe could not choose among two arms or more")
    return _judged(claim, rankme, "Regret of choosing by RankMe minus half of that of a random pick: AUROC")


def _gap_to_supervised(table: pd.DataFrame) -> Claim:
    claim = "A gap to supervised training remains"
    trained, supervised = table[table["kind"] == "method"], table[table["kind"] == "supervised"]
    if trained.empty or supervised.empty:
        return _silent(claim, "no supervised twin was run")
    best = str(trained.groupby("arm")[PROBE].mean().idxmax())
    twin = str(supervised.groupby("arm")[PROBE].mean().idxmax())
    both = table[table["arm"].isin({best, twin})]
    return _judged(claim, _lead(both, both["arm"] == twin), f"{twin} minus the best without labels, {best}: AUROC")


def _lead(table: pd.DataFrame, mine: pd.Series) -> Estimate:
    """Return the mean AUROC of some checkpoints minus that of the others, with its interval over units.

    On each unit an arm counts with its mean over levels and seeds, however often it was run.
    """
    arms = table.assign(mine=mine).groupby(["unit", "mine", "arm"])[PROBE].mean().reset_index()
    means = arms.pivot_table(index="unit", columns="mine", values=PROBE)
    return over_units((means[True] - means[False]).dropna())


def _judged(claim: str, found: Estimate, what: str) -> Claim:
    verdict: WildVerdict = "this size cannot decide"
    if found.trusted and found.low > 0:
        verdict = "holds here"
    if found.trusted and found.high < 0:
        verdict = "does not hold here"
    return Claim(claim=claim, verdict=verdict, sentence=f"{what} {between(found)}.", estimate=found)


def between(found: Estimate) -> str:
    """Return a number with its interval and what it rests on."""
    units = f"{found.repetitions} {'unit' if found.repetitions == 1 else 'units'}"
    if not np.isfinite(found.low):
        return f"{signed(found.value)} ({units}: no interval)"
    few = "" if found.trusted else ", too few to be trusted"
    return f"{signed(found.value)} (95 % interval {signed(found.low)} to {signed(found.high)}; {units}{few})"


def _silent(claim: str, why: str) -> Claim:
    return Claim(claim=claim, verdict="this size cannot decide", sentence=f"Nothing can be said: {why}.", estimate=None)
