"""The answer in words: what was chosen, how sure that is, and how many anomalies there seem to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feint.report import words

if TYPE_CHECKING:
    from feint.records.run import CandidateRecord, ChoiceRecord, Estimate, RunRecord, ShareRecord

SURE, LIKELY = 0.95, 0.75


@dataclass(frozen=True)
class Voter:
    """One member of the answer: its share, what it practised on, and its kind."""

    share: ShareRecord
    practised: str
    origin: str


@dataclass(frozen=True)
class Answer:
    """What the page says of the choice: `practised` fits a figure, `headline` is the verdict and what it is on.

    `share` is the estimated share of anomalous images, None where its interval leaves nearly everything open.
    """

    practised: str
    verdict: str
    headline: str
    confidence: str
    anomalous: str
    share: Estimate | None
    voters: list[Voter]


def answer(run: RunRecord) -> Answer:
    """Return the answer of a run in words."""
    choice, candidates = run.choice, run.candidates
    voters = [voter(share, candidates) for share in choice.shares]
    practised, verdict = _practised(choice, voters, candidates), words.VERDICTS[choice.verdict]
    on = {"augmentation": practised, "other": _named(choice, candidates)}.get(choice.verdict)
    return Answer(
        practised=practised,
        verdict=verdict,
        headline=f"{verdict}: {on}" if on else verdict,
        confidence=_confidence(choice.confidence, voters=len(voters)),
        anomalous=_anomalous(choice.anomalous_share, marked=run.found.learned_from > 0),
        share=choice.anomalous_share if _told(choice.anomalous_share) else None,
        voters=voters,
    )


def voter(share: ShareRecord, candidates: list[CandidateRecord]) -> Voter:
    """Return one voter in words."""
    origin = next((each.kind for each in candidates if each.name == share.candidate), "tuned")
    return Voter(share, _said(origin, share), origin)


def _practised(choice: ChoiceRecord, voters: list[Voter], candidates: list[CandidateRecord]) -> str:
    if voters:
        rest = len({each.practised for each in voters}) - 1
        more = f", and {rest} {'other' if rest == 1 else 'others'}" if rest else ""
        return voters[0].practised + more
    origin = next((each.kind for each in candidates if each.name == choice.candidate), "tuned")
    return _said(origin, choice)


def _named(choice: ChoiceRecord, candidates: list[CandidateRecord]) -> str:
    for each in candidates:
        if each.name == choice.candidate:
            return words.candidate(each.kind, each.augmentation, each.magnitudes, members=len(each.members))
    return choice.candidate


def _said(origin: str, made: ShareRecord | ChoiceRecord) -> str:
    return {
        "autoencoder": "redrawing your normal images",
        "features": "nothing here: a network trained elsewhere compares with your normal images",
        "unlabelled": "telling your unlabelled images from the normal ones",
        "marked": "telling the images you marked anomalous from normal ones",
    }.get(origin) or words.augmentation(made.augmentation, made.magnitudes)


def _confidence(confidence: float, *, voters: int) -> str:
    level = "high" if confidence >= SURE else "moderate" if confidence >= LIKELY else "low"
    best = "it comes out best" if voters <= 1 else "one of those that vote comes out best"
    drawn = "no draw" if confidence <= 0 else f"{words.percent(confidence)} of the draws"
    return f"Confidence: {level}. When the images are drawn anew at random from yours, {best} in {drawn}."


def _told(share: Estimate | None) -> bool:
    return share is not None and words.tells(share.low, share.high)


def _anomalous(share: Estimate | None, *, marked: bool) -> str:
    unknown = "How many of the unlabelled images are anomalous could not be estimated without labels"
    if share is None:
        return "How many of the unlabelled images are anomalous was not estimated anew." if marked else f"{unknown}."
    low, high = words.percent(share.low), words.percent(share.high)
    if not _told(share):
        return f"{unknown}: anything from {low} to {high} fits them."
    none = " There may be none at all." if share.low <= 0 else ""
    return (
        f"Estimated without labels, about {words.percent(share.value)} of the unlabelled images are anomalous "
        f"(95{words.NBSP}% interval: {low} to {high}).{none} Anomalies that score as normal images do are not counted."
    )
