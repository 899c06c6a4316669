"""Synthetic runs of every kind, for the tests of the report."""

from __future__ import annotations

import numpy as np
from landscapes_for_report import BEST, RANGES, TUNED, landscape

from feint.records.evaluation import CandidateAuroc, EvaluationRecord, LandscapeAuroc
from feint.records.run import (
    CalibrationRecord,
    CandidateRecord,
    ChoiceRecord,
    DataRecord,
    Estimate,
    FoundRecord,
    ImagesRecord,
    PhaseRecord,
    PreprocessingRecord,
    RunRecord,
    ShareRecord,
    Skipped,
    WarningRecord,
)
from feint.report import Gallery, Picture, PseudoGroup

HOSTILE = "<script>alert('x')</script> & \"a\" " + "very_long_name_" * 20 + ".png"
NUMBERS = np.random.default_rng(7)
SCORES = np.concatenate([NUMBERS.normal(3, 0.5, 308), NUMBERS.gamma(3, 1.0, 715) + 3.2])
CALIBRATION_SCORES = NUMBERS.normal(3, 0.5, 240)


def image_set(source: str, images: int, *, skipped: int = 0, duplicates: int = 0) -> ImagesRecord:
    return ImagesRecord(
        source=source,
        layout="folder",
        images=images,
        skipped=[
            Skipped(path=f"{source}/broken-{i}.png", reason="cut short: 512 of 8,192 bytes") for i in range(skipped)
        ],
        duplicates=[[f"{source}/a{i}.png", f"{source}/b{i}.png"] for i in range(duplicates)],
        smallest=(100, 192),
        largest=(192, 192),
        modes={"L": images},
        fingerprint="3f7a" * 16,
    )


def estimate(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half)


def candidate(
    name: str,
    *,
    kind: str = "random",
    augmentation: str = "cutdiff",
    value: float | None = 0.6,
    chosen: bool = False,
    size: int = 64,
    members: tuple[str, ...] = (),
) -> CandidateRecord:
    whole = RANGES.get(augmentation, {})
    tuned = {each: (best, best) for each, best in BEST.get(augmentation, {}).items()}
    return CandidateRecord(
        name=name,
        kind=kind,
        augmentation=augmentation,
        magnitudes={"tuned": tuned, "random": whole}.get(kind, {}),
        size=(size, size),
        members=list(members),
        criterion=None if value is None else estimate(value),
        excess_95=None if value is None else 0.21,
        excess_99=None if value is None else 0.084,
        estimated_auroc=None if value is None or value < 0.55 else estimate(0.5 + 2 * (value - 0.5), 0.04),
        gap=None if value is None or chosen else estimate(0.68 - value, 0.015),
        chosen=chosen,
        status="failed" if value is None else "ok",
        note="the loss became infinite" if value is None else "",
    )


def candidates(more: int = 0) -> list[CandidateRecord]:
    return [
        candidate("cutdiff", kind="tuned", value=0.681, chosen=True, size=128),
        candidate("rotation", kind="tuned", augmentation="rotation", value=0.66),
        candidate("noise", kind="tuned", augmentation="noise", value=0.55),
        candidate("cutdiff-random", value=0.63),
        candidate("cutpaste-random", augmentation="cutpaste", value=None),
        candidate("features", kind="features", augmentation="none", value=0.642),
        candidate("unlabelled", kind="unlabelled", augmentation="none", value=0.62),
        candidate("autoencoder", kind="autoencoder", augmentation="none", value=0.54),
        candidate("none", kind="none", augmentation="none", value=0.473),
        *(candidate(f"cutout-{i}", augmentation="cutout", value=0.52 - 0.0005 * i) for i in range(more)),
    ]


def share(name: str = "cutdiff", *, weight: float = 1.0) -> ShareRecord:
    tuned = {each: (best, best) for each, best in BEST.get(name, {}).items()}
    return ShareRecord(candidate=name, augmentation=name if tuned else "none", magnitudes=tuned, weight=weight)


def found(flagged: int = 587) -> FoundRecord:
    return FoundRecord(
        flagged=flagged,
        unlabelled=1023,
        expected_false_alarms=51.15,
        sentence=f"{flagged} of 1,023 images look unlike your normal ones; chance alone would give about 51.",
        any_anomaly_p_value=1e-9 if flagged > 60 else 0.62,
    )


def choice(verdict: str = "augmentation") -> ChoiceRecord:
    sentences = {
        "augmentation": "Training with cutdiff fits these images better than no training: +0.208.",
        "none": "No augmentation was better than an untrained network.",
        "other": "Distances on a pretrained network fit these images best.",
        "abstain": "The differences between the candidates are within chance.",
    }
    name = {"augmentation": "cutdiff", "none": "none", "other": "features", "abstain": "cutdiff-random"}[verdict]
    magnitudes = {"augmentation": TUNED, "abstain": RANGES["cutdiff"]}.get(verdict, {})
    return ChoiceRecord(
        candidate=name,
        verdict=verdict,
        confidence={"augmentation": 0.97, "abstain": 0.31}.get(verdict, 0.82),
        sentence=sentences[verdict],
        augmentation="cutdiff" if magnitudes else "none",
        magnitudes=magnitudes,
        size=(128, 128),
        shares=[
            ShareRecord(
                candidate=name, augmentation="cutdiff" if magnitudes else "none", magnitudes=magnitudes, weight=1.0
            )
        ],
        advantage_over_none=estimate(0.208, 0.017) if verdict == "augmentation" else None,
        anomalous_share=None if verdict == "abstain" else Estimate(value=0.46, low=0.41, high=0.69),
    )


VOTING = ("cutdiff", "rotation", "autoencoder")


def ensemble() -> RunRecord:
    """Return a run in which three candidates vote, two of them tuned to different augmentations."""
    weights = dict(zip(VOTING, (0.55, 0.33, 0.12), strict=True))
    together = candidate(
        "ensemble", kind="ensemble", augmentation="none", value=0.69, chosen=True, size=128, members=VOTING
    )
    return run(
        candidates=[together, *(each.model_copy(update={"chosen": False}) for each in candidates())],
        choice=choice().model_copy(
            update={
                "candidate": "ensemble",
                "confidence": 0.83,
                "shares": [share(name, weight=weight) for name, weight in weights.items()],
            }
        ),
    )


def evaluation(record: RunRecord, *, label_reads: int = 1) -> EvaluationRecord:
    """Return what labels say of `record`, in accord with its criterion but for the chosen one's 0.01."""

    def auroc(criterion: float, *, chosen: bool = False) -> float:
        return 0.5 + 2.2 * (criterion - 0.5) - (0.06 if chosen else 0)

    return EvaluationRecord(
        labels="cells/labels.csv",
        normal=540,
        anomalous=483,
        auroc=estimate(0.843, 0.012),
        average_precision=estimate(0.851, 0.014),
        f1=estimate(0.79, 0.015),
        false_alarm_rate=estimate(0.0512, 0.01),
        detection_rate=estimate(0.571, 0.03),
        label_reads=label_reads,
        candidates=[
            CandidateAuroc(
                name=each.name,
                criterion=each.criterion and each.criterion.value,
                auroc=each.criterion and auroc(each.criterion.value, chosen=each.chosen),
                chosen=each.chosen,
            )
            for each in record.candidates
        ],
        landscapes=[
            LandscapeAuroc(
                augmentation=each.augmentation,
                size=each.size,
                auroc=[auroc(point.two_sample_auroc) for point in each.points],
            )
            for each in record.landscapes
        ],
    )


def calibration(*, mode: str = "false_alarm_rate", threshold: float | None = 3.86) -> CalibrationRecord:
    guarantee = (
        "At most 5 % of normal images like the calibration ones are flagged, on average over calibration sets."
        if mode == "false_alarm_rate"
        else "Of the images flagged, at most 10 % are normal, on average (Benjamini-Hochberg)."
    )
    rate = 0.05 if mode == "false_alarm_rate" else 0.1
    return CalibrationRecord(
        images=240,
        mode=mode,
        asked=rate,
        rate=rate,
        threshold=threshold,
        realised=(0.0312, 0.0741) if mode == "false_alarm_rate" else (0.0, 0.0),
        guarantee=guarantee,
    )


def run(**changes: object) -> RunRecord:
    """Return a realistic run with the fields of `changes` replaced."""
    record = RunRecord(
        versions={"feint": "0.1.0", "torch": "2.13.0", "numpy": "2.4.0", "python": "3.11.9"},
        created="2026-11-22T01:30:00+00:00",
        seed=0,
        command="feint tune normal pool --out runs/demo --seed 0",
        settings={
            "budget": "standard",
            "false_alarm_rate": 0.05,
        },
        data=DataRecord(
            normal=image_set("cells/normal", 1200, duplicates=1),
            unlabelled=image_set("cells/pool", 1023, skipped=2),
            shared=[],
            rotations=1,
            training=720,
            selection=240,
            calibration=240,
        ),
        preprocessing=PreprocessingRecord(channels=1, height=128, width=128, white=255),
        landscapes=[landscape("noise"), landscape("rotation"), landscape(size=128)],
        candidates=candidates(),
        choice=choice(),
        calibration=calibration(),
        found=found(),
        phases=[
            PhaseRecord(name="reading the images", seconds=3.2, peak_mib=412),
            PhaseRecord(name="tuning", seconds=93.4, peak_mib=903),
            PhaseRecord(name="comparing candidates", seconds=72.9, peak_mib=1012),
            PhaseRecord(name="calibration and scores", seconds=11.0, peak_mib=890),
        ],
        warnings=[WarningRecord(code="skipped", message="2 unlabelled images could not be read and were left out.")],
    )
    return record.model_copy(update=changes)


def picture(
    number: int, *, size: tuple[int, ...] = (96, 160), name: str | None = None, flagged: bool = True
) -> Picture:
    noise = np.random.default_rng(number)
    smooth = noise.normal(128, 30, (size[0] // 8 + 1, size[1] // 8 + 1, *size[2:])).repeat(8, 0).repeat(8, 1)
    image = (smooth[: size[0], : size[1]] + noise.normal(0, 6, size)).clip(0, 255).astype(np.uint8)
    return Picture(
        name=name or f"pool/cell{number:04d}.png",
        image=image,
        score=9.5 - 0.1 * number,
        p_value=0.0041 * (number + 1),
        flagged=flagged,
        map=noise.random((size[0] // 4, size[1] // 4)).astype(np.float32),
    )


def gallery(*, size: tuple[int, ...] = (96, 160), anomalous: int = 6, suspicious: int = 3) -> Gallery:
    bare = [Picture(f"n{i}.png", picture(50 + i, size=size).image, None, None, False, None) for i in range(6)]
    return Gallery(
        anomalous=[picture(i, size=size, name=HOSTILE if i == 1 else None) for i in range(anomalous)],
        normal=[picture(20 + i, size=size, flagged=False) for i in range(4)],
        pseudo=[PseudoGroup(share(), list(zip(bare[:3], bare[3:], strict=True)))],
        suspicious=[picture(40 + i, size=size, flagged=i == 0) for i in range(suspicious)],
    )
