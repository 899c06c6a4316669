"""What a study of representations says, in words with numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from feint.report import words
from feint.report.study import numbers, wild_marks

if TYPE_CHECKING:
    from feint.records.wild import Arm, Criterion, Estimate, WildRecord, WildVerdict

ENOUGH_SETS = 2
STYLES: dict[WildVerdict, str] = {
    "holds here": "confirmed",
    "does not hold here": "not-confirmed",
    "this size cannot decide": "undecided",
}


def headline(record: WildRecord) -> str:
    """Return the whole study in one sentence, for its title."""
    methods, beat = _methods(record), _beating(record)
    if not methods or not record.gains:
        return "No pretrained encoder could be compared with an untrained one"
    return (
        f"{len(beat)} of {numbers.counted(len(methods), 'method')} {'beats' if len(beat) == 1 else 'beat'} "
        f"the untrained encoder on at least {ENOUGH_SETS} data sets"
    )


def beating(record: WildRecord) -> list[str]:
    """Return in sentences which methods beat the untrained encoder, and for the others what stood in the way."""
    beat = _beating(record)
    said = []
    if beat:
        names = numbers.listed([wild_marks.TITLES.get(each, each) for each in beat], most=9)
        said.append(
            f"Better than the untrained encoder on {ENOUGH_SETS} sets or more, by linear probe and by the best "
            f"label-free scorer, each with its whole interval above zero: {names}."
        )
    return said + [_not_enough(record, arm) for arm in record.arms if _falls_short(record, arm)]


def _methods(record: WildRecord) -> list[str]:
    return list(dict.fromkeys(arm.method for arm in record.arms if arm.kind == "method"))


def _beating(record: WildRecord) -> list[str]:
    """Return the methods of which an arm beats the untrained encoder on enough sets, by probe and by scorer."""
    enough = {each.arm for each in record.beaten if len(each.by_both) >= ENOUGH_SETS}
    return list(dict.fromkeys(arm.method for arm in record.arms if arm.name in enough))


def _falls_short(record: WildRecord, arm: Arm) -> bool:
    return any(each.arm == arm.name and len(each.by_both) < ENOUGH_SETS for each in record.beaten)


def _not_enough(record: WildRecord, arm: Arm) -> str:
    """Return on how many sets an arm falls short, and how: below the untrained encoder, or not told apart from it."""
    gains = [each for each in record.gains if each.arm == arm.name and each.data]
    if not gains:
        return f"{wild_marks.spoken(arm)}: nothing to compare with."
    parts = []
    for title, found in (
        ("linear probe", [(each.data, each.probe) for each in gains]),
        ("best label-free scorer", [(each.data, each.scored) for each in gains if each.scored]),
    ):
        kinds: dict[str, list[str]] = {"above": [], "below": [], "not told apart": []}
        for data, each in found:
            kinds[_side(each)].append(f"{data} ({numbers.signed(each.value)})")
        told = "; ".join(f"{kind} on {numbers.listed(sets, most=9)}" for kind, sets in kinds.items() if sets)
        if told:
            parts.append(f"by {title} {told}")
    return f"{wild_marks.spoken(arm)} falls short: against the untrained encoder {', and '.join(parts)}."


def _side(found: Estimate) -> str:
    if not math.isfinite(found.low):
        return "not told apart"
    return "above" if found.low > 0 else "below" if found.high < 0 else "not told apart"


def trusted(record: WildRecord) -> str:
    """Return whether the label-free metrics can be trusted here, in words; empty where none was measured."""
    random = next((each.regret for each in record.references if each.name == "random pick"), None)
    judged = [each for each in record.criteria if each.regret is not None]
    if random is None or not judged:
        return ""
    half = [each for each in judged if each.regret and each.regret.value <= random.value / 2]
    first = judged[0]
    named = f"{first.name} ({words.decimals(first.regret.value)})" if first.regret else first.name
    return (
        f"A random pick loses {words.decimals(random.value)} AUROC against the best arm. "
        f"Of {numbers.counted(len(judged), 'criterion', 'criteria')}, {len(half)} lose at most half of that; "
        f"least is lost by {named}. The least of many is lucky in part: believe the confirmation on other sets."
    )


def agreement(criterion: Criterion) -> str:
    """Return Kendall's tau-b of a criterion with AUROC in one line: pooled, and within what."""
    told = [
        f"{where} {numbers.signed(each.tau.value)} ({numbers.ends(each.tau)})"
        for where, each in criterion.agreement.items()
    ]
    return "Kendall's tau-b with AUROC: " + "; ".join(told) + "." if told else ""
