"""What labels say of a run, put into its finished page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from feint.core.errors import IntegrityError
from feint.report import landscapes, words
from feint.report.environment import environment

if TYPE_CHECKING:
    from feint.records.evaluation import CandidateAuroc, EvaluationRecord
    from feint.records.run import CandidateRecord, RunRecord

HERE = Path(__file__).parent
BEGIN, END = "<!-- labels: begin -->", "<!-- labels: end -->"


def with_evaluation(page: str, record: RunRecord, evaluation: EvaluationRecord) -> str:
    """Return the page of a run with the section "What labels say" put in, or put in anew.

    The same arguments give the same page, byte for byte, whether or not `page` was evaluated before.

    Args:
        page: as `render` made it. record: of the run that it shows. evaluation: of that run.

    Raises:
        IntegrityError: the page has no place for the section, or the evaluation is of another run.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise IntegrityError(
            "the report has no place for what labels say: it was cut short, changed or made by an older Feint. "
            "The numbers stand in evaluation.json; run `feint tune` again for a report that can hold them."
        )
    _check(record, evaluation)
    return before + BEGIN + "\n" + _section(record, evaluation) + "\n" + END + after


def matching(evaluation: EvaluationRecord) -> str:
    """Return in one sentence which labels and which images the numbers are of."""
    fitting = evaluation.normal + evaluation.anomalous + evaluation.learned_from
    said = [f"{fitting:,} of {fitting + evaluation.unfitted:,} labels fit an image"]
    if evaluation.by_file_name:
        said[0] += f", {evaluation.by_file_name:,} of them by the file name alone, from folders of other names"
    if evaluation.learned_from:
        said.append(f"{evaluation.learned_from:,} of these images are left out: the run has learned from them")
    if evaluation.unlabelled:
        said.append(f"{evaluation.unlabelled:,} other images have no label")
    return "; ".join(said) + "."


def _check(record: RunRecord, evaluation: EvaluationRecord) -> None:
    names = {each.name for each in record.candidates}
    points = {(each.augmentation, each.size): len(each.points) for each in record.landscapes}
    strange = [each.name for each in evaluation.candidates if each.name not in names]
    strange += [
        f"the landscape of {each.augmentation}"
        for each in evaluation.landscapes
        if points.get((each.augmentation, each.size)) != len(each.auroc)
    ]
    if strange:
        raise IntegrityError(
            f"the evaluation is not of this run, whose record does not know {strange[0]}: evaluate the run again."
        )


def _section(record: RunRecord, evaluation: EvaluationRecord) -> str:
    aurocs = {(each.augmentation, each.size): each.auroc for each in evaluation.landscapes}
    shown = landscapes.landscapes(record, aurocs=aurocs)
    known = {each.name: each for each in record.candidates}
    return (
        environment(HERE)
        .get_template("labels.html")
        .render(
            evaluation=evaluation,
            matching=matching(evaluation),
            marked=record.label_reads > 0,
            candidates=[(each, known[each.name]) for each in sorted(evaluation.candidates, key=_criterion)],
            regret=_regret(evaluation.candidates, known),
            landscapes=[each for each in shown if any(panel.auroc for panel in each.panels)],
            Panel=landscapes.Panel,
            words=words,
        )
        .strip()
    )


def _criterion(candidate: CandidateAuroc) -> float:
    return float("inf") if candidate.criterion is None else -candidate.criterion


def _regret(candidates: list[CandidateAuroc], known: dict[str, CandidateRecord]) -> str:
    """Return in one sentence what the choice lost against the best candidate."""
    judged = [each for each in candidates if each.auroc is not None]
    chosen = next((each for each in judged if each.chosen), None)
    if chosen is None:
        return "What the choice lost cannot be said: the AUROC of the chosen candidate is not known."
    assert chosen.auroc is not None
    best = max(judged, key=lambda each: each.auroc or 0.0)
    assert best.auroc is not None
    lost = best.auroc - chosen.auroc
    if lost < 0.0005:
        return f"No candidate is better than the chosen one, with an AUROC of {chosen.auroc:.3f}: nothing was lost."
    row = known[best.name]
    said = words.candidate(row.kind, row.augmentation, row.magnitudes, members=len(row.members))
    return (
        f"The choice lost {lost:.3f}: the chosen candidate has an AUROC of {chosen.auroc:.3f}, "
        f"the best one ({said}) {best.auroc:.3f}."
    )
