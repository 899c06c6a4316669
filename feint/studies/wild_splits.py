"""How much of the AUROC goes with the method, the encoder and the level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feint.core.streams import numpy_stream
from feint.records.wild import Estimate, Share, Split
from feint.stats.variance_split import VarianceSplit, variance_split
from feint.studies.wild_table import MASKED, PROBE, drawn

if TYPE_CHECKING:
    import pandas as pd

BLOCK = "set and class"
FACTORS = {"method": "method", "encoder": "encoder", "level": "level", BLOCK: "unit"}
INTERACTIONS = (("method", "level"), ("encoder", "level"))


def splits(trained: pd.DataFrame) -> tuple[list[Split], Estimate | None]:
    """Return the variance splits, and the lead of the method over the encoder in the complete block; None without one.

    The first split is over the complete block: the joint-embedding methods that were run on all encoders. The second is
    over all arms. A split is left out where there is nothing to split, and the second where it is the first.
    """
    found, leading = [], None
    block = complete_block(trained)
    crossed = _varies(block, "method") and _varies(block, "encoder")
    if crossed and (split := _split(block)):
        found.append(_shown("Joint-embedding methods on all encoders", block, split))
        if _varies(block, "unit"):
            leading = drawn(split.lead("method", "encoder", apart_from=BLOCK))
    if len(block) < len(trained) and (split := _split(trained)):
        found.append(_shown("All methods and encoders", trained, split))
    return found, leading


def complete_block(trained: pd.DataFrame) -> pd.DataFrame:
    """Return the checkpoints of the joint-embedding methods that were run on every encoder."""
    encoders = trained.groupby("method")["encoder"].nunique()
    complete = encoders[encoders == trained["encoder"].nunique()].index
    return trained[trained["method"].isin(complete) & (trained["method"] != MASKED)]


def _varies(table: pd.DataFrame, column: str) -> bool:
    return len(set(table[column])) > 1


def _split(table: pd.DataFrame) -> VarianceSplit | None:
    """Return the split of the AUROC over the factors that vary; None where none does, or the AUROC does not."""
    factors = {name: list(table[column]) for name, column in FACTORS.items() if _varies(table, column)}
    if not factors or not _varies(table, PROBE):
        return None
    return variance_split(
        table[PROBE],
        factors,
        table["unit"],
        interactions=[pair for pair in INTERACTIONS if set(pair) <= set(factors)],
        generator=numpy_stream(0, "variance split"),
    )


def _shown(title: str, table: pd.DataFrame, split: VarianceSplit) -> Split:
    return Split(
        title=title,
        arms=sorted(set(table["arm"])),
        shares=[
            Share(
                name=each.name.replace(":", " × "),
                df=each.df,
                eta=drawn(each.share),
                partial=each.partial,
                adjusted=drawn(each.adjusted),
            )
            for each in split.effects
        ],
        residual=split.residual,
        cells=split.cells,
        observations=split.observations,
        balanced=split.balanced,
    )
