"""Runs of every kind by name, and the page of a run, for the tests of the report."""

from __future__ import annotations

from landscapes_for_report import landscape
from runs_for_report import (
    CALIBRATION_SCORES,
    HOSTILE,
    SCORES,
    calibration,
    candidate,
    candidates,
    choice,
    ensemble,
    estimate,
    found,
    gallery,
    image_set,
    run,
)

from feint.records.run import Estimate, RunRecord
from feint.report import Gallery, render

BARE = Gallery(anomalous=[], normal=[], pseudo=[], suspicious=[])


def crossfitted() -> RunRecord:
    roles = {"rotations": 5, "training": 24, "selection": 8, "calibration": 40}
    data = run().data.model_copy(update={**roles, "normal": image_set("cells/normal", 40)})
    return run(data=data, calibration=calibration(threshold=None))


def hostile() -> RunRecord:
    data = run().data
    normal = image_set(HOSTILE, 400, skipped=250, duplicates=230)
    warning = run().warnings[0].model_copy(update={"message": HOSTILE})
    return run(
        data=data.model_copy(update={"normal": normal, "shared": [HOSTILE] * 300}),
        warnings=[warning] * 3,
        command=f"feint tune {HOSTILE}",
        settings={HOSTILE: {HOSTILE: [HOSTILE]}},
        versions={"feint": HOSTILE, HOSTILE: HOSTILE},
        choice=choice().model_copy(update={"sentence": HOSTILE}),
        candidates=[each.model_copy(update={"name": HOSTILE, "note": HOSTILE}) for each in candidates()],
        landscapes=[landscape().model_copy(update={"augmentation": HOSTILE, "at_bound": ["area", HOSTILE]})],
    )


def choosing(verdict: str, **changes: object) -> RunRecord:
    return run(choice=choice(verdict).model_copy(update=changes))


RUNS = {
    "recommended": run(),
    "ensemble": ensemble(),
    "random-strength": choosing("augmentation", magnitudes={"area": (0.003, 0.4)}),
    "none": choosing("none"),
    "other": choosing("other"),
    "abstain": choosing("abstain"),
    "never-best": choosing("abstain", confidence=0.0, shares=[]),
    "perhaps-no-anomaly": choosing("none", anomalous_share=estimate(0.02)),
    "cross-fitted": crossfitted(),
    "share-unknown": choosing("augmentation", anomalous_share=Estimate(value=0.2, low=0.0, high=0.95)),
    "not-one-exceeds": run(found=found(0).model_copy(update={"any_anomaly_p_value": 1.0, "together_p_value": 0.4})),
    "nothing-flagged": run(found=found(0)),
    "fdr": run(calibration=calibration(mode="fdr", threshold=None)),
    "fallen-back": run(calibration=calibration().model_copy(update={"rate": 0.0625})),
    "flat": run(
        landscapes=[landscape("rotation").model_copy(update={"points": [landscape("rotation").points[0]] * 3})]
    ),
    "one-point": run(landscapes=[landscape("noise", points=1), landscape(points=1)]),
    "no-point": run(landscapes=[landscape("noise", points=0)]),
    "two-sizes": run(landscapes=[landscape(size=64), landscape(size=128)]),
    "no-landscape": run(landscapes=[]),
    "sixty-candidates": run(candidates=candidates(51)),
    "one-candidate": run(candidates=[candidate("none", kind="none", augmentation="none", chosen=True)]),
    "no-candidate-judged": run(candidates=[candidate("cutdiff-random", value=None)]),
    "hostile": hostile(),
    "empty": run(landscapes=[], candidates=[], warnings=[], phases=[], settings={}, found=found(0)),
}


def page_of(record: RunRecord, shown: Gallery | None = None) -> str:
    return render(
        record,
        gallery=gallery() if shown is None else shown,
        scores=SCORES,
        calibration_scores=CALIBRATION_SCORES,
        map_scale=(0.0, 1.0),
    )
