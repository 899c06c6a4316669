"""The model card: what a stranger has to know of a run before using it, in Markdown under a YAML header."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from feint.report import markdown, words
from feint.report.answer import answer
from feint.report.environment import FILTERS
from feint.report.yaml_header import Plain, yaml_header

if TYPE_CHECKING:
    from feint.records.evaluation import EvaluationRecord
    from feint.records.pretraining import PretrainingRecord
    from feint.records.refit import RefitRecord
    from feint.records.run import CandidateRecord, ImagesRecord, PreprocessingRecord, RunRecord

HERE = Path(__file__).parent


def card(record: RunRecord, *, evaluation: EvaluationRecord | None = None, refitted: RefitRecord | None = None) -> str:
    """Return the model card of a run; the same records, the same text.

    Args:
        record: the run. evaluation: what labels say of it, if they were read. refitted: what a refit learned from.
    """
    judged = sorted(record.candidates, key=_criterion)
    return _environment().get_template("card.md").render(
        header=markdown.Ready(yaml_header(_header(record, evaluation, refitted))),
        run=record,
        evaluation=evaluation,
        refitted=refitted,
        evaluations=_evaluations(record, evaluation),
        answer=answer(record),
        candidates=judged,
        voting={share.candidate for share in record.choice.shares},
        words=words,
    )  # fmt: skip


def pretraining_card(record: PretrainingRecord) -> str:
    """Return the model card of a pretrained encoder; the same record, the same text."""
    header: dict[str, Plain] = {
        "library_name": "feint",
        "feint": record.version,
        "license": None,
        "task": "pretrained image encoder",
        "method": record.method,
        "encoder": record.encoder,
        "seed": record.seed,
        "images": _images(record.images),
        "label_reads": 0,
        "views": record.views,
        "preprocessing": _preprocessing(record.preprocessing),
        "alarms": [each.code for each in record.warnings],
    }
    template = _environment().get_template("card-pretraining.md")
    return template.render(header=markdown.Ready(yaml_header(header)), run=record)


def _header(record: RunRecord, evaluation: EvaluationRecord | None, refitted: RefitRecord | None) -> dict[str, Plain]:
    data, choice, calibration = record.data, record.choice, record.calibration
    return {
        "library_name": "feint",
        "feint": record.versions.get("feint"),
        "license": None,
        "task": "image anomaly detection",
        "created": record.created,
        "seed": record.seed,
        "normal": _images(data.normal),
        "unlabelled": _images(data.unlabelled),
        "splits": {
            "training": data.training,
            "selection": data.selection,
            "calibration": data.calibration,
            "rotations": data.rotations,
        },
        "label_reads": {"run": record.label_reads, "evaluation": _evaluations(record, evaluation)},
        "marks_learned_from": refitted.fitted.model_dump() if refitted else None,
        "augmentation": {
            "verdict": choice.verdict,
            "confidence": choice.confidence,
            "candidate": choice.candidate,
            "voters": [
                {
                    "candidate": each.candidate,
                    "augmentation": each.augmentation,
                    "weight": each.weight,
                    "magnitudes": {name: list(drawn) for name, drawn in each.magnitudes.items()},
                }
                for each in choice.shares
            ],
        },
        "threshold": {
            "mode": calibration.mode,
            "rate": calibration.rate,
            "asked": calibration.asked,
            "calibration_images": calibration.images,
        },
        "preprocessing": _preprocessing(record.preprocessing),
        "auroc": evaluation.auroc.value if evaluation else None,
        "warnings": [each.code for each in record.warnings],
    }


def _evaluations(record: RunRecord, evaluation: EvaluationRecord | None) -> int:
    """Return how often labels were read to judge the finished run."""
    return evaluation.label_reads - record.label_reads if evaluation else 0


def _images(record: ImagesRecord) -> dict[str, Plain]:
    return {"source": record.source, "images": record.images, "fingerprint": record.fingerprint}


def _preprocessing(record: PreprocessingRecord) -> dict[str, Plain]:
    return {"channels": record.channels, "height": record.height, "width": record.width, "white": record.white}


def _criterion(candidate: CandidateRecord) -> float:
    return math.inf if candidate.criterion is None else -candidate.criterion.value


@cache
def _environment() -> Environment:
    """Return the environment of the cards' templates, in which every value is escaped for Markdown."""
    made = Environment(  # noqa: S701 this is Markdown: see finalize
        loader=FileSystemLoader(HERE),
        finalize=markdown.escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    made.filters.update(FILTERS, code=markdown.code)
    return made
