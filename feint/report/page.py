"""The report: one HTML page that needs nothing but itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from feint.report import charts, evaluation, images, landscapes, words
from feint.report.answer import Voter, answer, voter
from feint.report.environment import environment
from feint.report.gallery import Gallery, Picture, PseudoGroup

if TYPE_CHECKING:
    from feint.records.run import CandidateRecord, RunRecord, ShareRecord

HERE = Path(__file__).parent
ROWS_SHOWN = 15
LISTED = 200
UNFOLDED = 12
PAIRS_UNFOLDED = 3


def render(
    record: RunRecord,
    *,
    gallery: Gallery,
    scores: NDArray[np.floating],
    calibration_scores: NDArray[np.floating],
    map_scale: tuple[float, float],
) -> str:
    """Return the report of a run as one self-contained HTML page: no network, no script, printable.

    Args:
        record: the run, as in `run.json`.
        gallery: the pictures to show; about 24 + 12 + 8 pairs a voter + 12 of them make a page of 1 to 3 MB.
        scores: anomaly scores (n,) of the unlabelled images, higher = more anomalous.
        calibration_scores: anomaly scores (m,) of the calibration normals.
        map_scale: map values that are drawn clear and in full colour, the same for all pictures.

    The same arguments give the same page, byte for byte.

    Cost: about 10 ms a picture.
    """
    return (
        environment(HERE)
        .get_template("page.html")
        .render(
            run=record,
            words=words,
            style=Markup((HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704 our own file
            anomalous=_cards(gallery.anomalous, map_scale),
            normal=_cards(gallery.normal, map_scale),
            suspicious=_cards(gallery.suspicious, map_scale),
            answer=answer(record),
            groups=[_group(each, record, map_scale) for each in _distinct(gallery.pseudo)],
            LISTED=LISTED,
            UNFOLDED=UNFOLDED,
            PAIRS=PAIRS_UNFOLDED,
            colours=images.legend(),
            histogram=charts.histogram(scores, calibration_scores, threshold=record.calibration.threshold),
            calibration_scores=len(calibration_scores),
            Histogram=charts.Histogram,
            Panel=landscapes.Panel,
            landscapes=landscapes.landscapes(record, aurocs={}),
            table=_table(record),
            markers=(evaluation.BEGIN, evaluation.END),
        )
    )


@dataclass(frozen=True)
class _Card:
    """A picture ready to be placed: its own `data:` URI and that of its map."""

    picture: Picture
    uri: str
    width: int
    height: int
    map_uri: str | None
    shape: str
    pixelated: bool


def _cards(pictures: list[Picture], scale: tuple[float, float]) -> list[_Card]:
    """Return cards of one common shape, so that rows stand even whatever the images' sizes."""
    if not pictures:
        return []
    ratio = float(np.median([each.image.shape[1] / each.image.shape[0] for each in pictures]))
    shape = f"{min(max(ratio, 0.4), 2.5):.3f}"
    cards = []
    for each in pictures:
        uri, width, height = images.data_uri(each.image)
        over = None
        if each.map is not None:
            blend = images.overlay(each.image, each.map, scale=scale)
            over, _, _ = images.data_uri(blend, quality=images.MAP_QUALITY)
        cards.append(_Card(each, uri, width, height, over, shape, max(width, height) <= images.SMALL))
    return cards


@dataclass(frozen=True)
class _Group:
    """What one voter practised on, as cards in pairs."""

    voter: Voter
    pairs: list[tuple[_Card, _Card]]


def _distinct(groups: list[PseudoGroup]) -> list[PseudoGroup]:
    """Return the groups that have pictures; what several voters practised on stands once, with all of their weight."""
    found: list[PseudoGroup] = []
    for each in groups:
        alike = [i for i, other in enumerate(found) if _making(other.share) == _making(each.share)]
        if alike:
            first = found[alike[0]]
            weight = first.share.weight + each.share.weight
            found[alike[0]] = PseudoGroup(first.share.model_copy(update={"weight": weight}), first.pairs)
        elif each.pairs:
            found.append(each)
    return sorted(found, key=lambda each: -each.share.weight)


def _making(share: ShareRecord) -> tuple[str, dict[str, tuple[float, float]]]:
    return share.augmentation, share.magnitudes


def _group(group: PseudoGroup, record: RunRecord, scale: tuple[float, float]) -> _Group:
    cards = _cards([picture for pair in group.pairs for picture in pair], scale)
    return _Group(voter(group.share, record.candidates), list(zip(cards[::2], cards[1::2], strict=True)))


@dataclass(frozen=True)
class _Row:
    """One candidate with the places of its interval on the common axis; `whisker` is None where it has no criterion."""

    rank: int | None
    candidate: CandidateRecord
    votes: bool
    whisker: tuple[float, float, float] | None


@dataclass(frozen=True)
class _Table:
    """The candidates in the order of their criterion."""

    shown: list[_Row]
    rest: list[_Row]
    ticks: list[tuple[float, str]]
    chance: float

    WIDTH = 176
    LEFT, RIGHT = 14, 162


def _table(record: RunRecord) -> _Table:
    candidates, voting = record.candidates, {share.candidate for share in record.choice.shares}
    judged = sorted((c for c in candidates if c.criterion is not None), key=_value, reverse=True)
    ends = [0.45, 0.55, *(x for c in judged if c.criterion for x in (c.criterion.low, c.criterion.high))]
    axis = charts.Axis(min(ends), max(ends), _Table.LEFT, _Table.RIGHT)
    rows = [_Row(rank, each, each.name in voting, _whisker(each, axis)) for rank, each in enumerate(judged, start=1)]
    rows += [_Row(None, each, each.name in voting, None) for each in candidates if each.criterion is None]
    kept = {"none", "ensemble"}
    shown = [
        row
        for i, row in enumerate(rows)
        if i < ROWS_SHOWN or row.candidate.chosen or row.votes or row.candidate.kind in kept
    ]
    rest = [row for row in rows if row not in shown]
    return _Table(shown=shown, rest=rest, ticks=axis.ticks(3), chance=axis.at(0.5))


def _value(candidate: CandidateRecord) -> float:
    return candidate.criterion.value if candidate.criterion else -math.inf


def _whisker(candidate: CandidateRecord, axis: charts.Axis) -> tuple[float, float, float] | None:
    if (criterion := candidate.criterion) is None:
        return None
    return axis.at(criterion.low), axis.at(criterion.value), axis.at(criterion.high)
