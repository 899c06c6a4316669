"""What labels say: put in, put in anew, and refused where it does not belong."""

from __future__ import annotations

import pytest
from pages_for_report import page_of
from runs_for_report import ensemble, evaluation, run

from feint.core.errors import IntegrityError
from feint.records.evaluation import CandidateAuroc, EvaluationRecord
from feint.records.run import RunRecord
from feint.report import with_evaluation


@pytest.fixture(scope="module")
def page() -> str:
    return page_of(run())


def judged(**aurocs: float | None) -> EvaluationRecord:
    rows = [
        CandidateAuroc(name=name, criterion=0.6, auroc=auroc, chosen=name == "cutdiff")
        for name, auroc in aurocs.items()
    ]
    return evaluation(run()).model_copy(update={"candidates": rows, "landscapes": []})


def test_only_the_section_changes(page: str) -> None:
    evaluated = with_evaluation(page, run(), evaluation(run()))
    begin, end = page.index("<!-- labels: begin -->"), page.index("<!-- labels: end -->")
    assert evaluated.startswith(page[:begin])
    assert evaluated.endswith(page[end:])
    assert "If you have labels" not in evaluated
    assert evaluated.count("<h2>What labels say</h2>") == 1
    assert "What labels say" not in page


def test_evaluated_again_is_evaluated_afresh(page: str) -> None:
    record, second = run(), evaluation(run(), label_reads=2)
    once = with_evaluation(page, record, evaluation(record))
    assert with_evaluation(once, record, evaluation(record)) == once
    assert with_evaluation(once, record, second) == with_evaluation(page, record, second) != once
    assert "Labels were read 2 times" in with_evaluation(once, record, second)


@pytest.mark.parametrize(
    "old", ["<html></html>", "<!-- labels: begin -->", "<!-- labels: end --><!-- labels: begin -->"]
)
def test_a_page_without_a_place_is_refused(old: str) -> None:
    with pytest.raises(IntegrityError, match="no place for what labels say"):
        with_evaluation(old, run(), evaluation(run()))


def cut_short(record: RunRecord) -> EvaluationRecord:
    whole = evaluation(record)
    short = whole.landscapes[0].model_copy(update={"auroc": whole.landscapes[0].auroc[:-1]})
    return whole.model_copy(update={"landscapes": [short]})


@pytest.mark.parametrize(
    ("strange", "named"),
    [(evaluation(ensemble()), "ensemble"), (cut_short(run()), "the landscape of noise")],
    ids=["candidate", "landscape"],
)
def test_an_evaluation_of_another_run_is_refused(page: str, strange: EvaluationRecord, named: str) -> None:
    with pytest.raises(IntegrityError, match=f"does not know {named}: evaluate the run again"):
        with_evaluation(page, run(), strange)


@pytest.mark.parametrize(
    ("aurocs", "said"),
    [
        (
            {"cutdiff": 0.8, "rotation": 0.85, "none": 0.6},
            "The choice lost 0.050: the chosen candidate has an AUROC of 0.800",
        ),
        ({"cutdiff": 0.8, "rotation": 0.85}, "the best one (images turned by 358°) 0.850."),
        (
            {"cutdiff": 0.9, "rotation": 0.85, "none": None},
            "No candidate is better than the chosen one, with an AUROC of 0.900",
        ),
        ({"cutdiff": None, "rotation": 0.85}, "cannot be said"),
        ({"rotation": None}, "cannot be said"),
    ],
)
def test_the_regret_is_told_in_a_sentence(page: str, aurocs: dict[str, float | None], said: str) -> None:
    assert said in with_evaluation(page, run(), judged(**aurocs))


def test_without_candidates_and_landscapes_nothing_is_compared(page: str) -> None:
    evaluated = with_evaluation(page, run(), judged())
    assert "What the criterion promised" not in evaluated
    assert "The landscapes, with labels" not in evaluated
    assert "0.843" in evaluated


def test_landscapes_are_drawn_with_hollow_rings(page: str) -> None:
    section = with_evaluation(page, run(), evaluation(run())).partition('<section id="labels">')[2]
    assert section.count('class="dot labelled"') == 24 * (4 + 1 + 1)
    assert "dot labelled" not in page.partition("</style>")[2]
