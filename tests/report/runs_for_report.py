"""Synthetic runs of every kind, for the tests of the report."""

from __future__ import annotations

import numpy as np

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
    ScreenedRecord,
    Skipped,
    StartRecord,
    WarningRecord,
)
from feint.report import Gallery, Picture

HOSTILE = "<script>alert('x')</script> & \"a\" " + "very_long_name_" * 20 + ".png"
TUNED = {"area": (0.031, 0.031), "aspect": (0.55, 0.55), "angle": (35.0, 35.0), "amplitude": (0.42, 0.42)}
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


def start(number: int, *, augmentation: str = "cutdiff", status: str = "ok", steps: int = 25) -> StartRecord:
    ends = {name: low for name, (low, _) in TUNED.items()} if augmentation == "cutdiff" else {"angle": 181.0}
    if status == "identity":
        ends = ends | ({"amplitude": 0.01} if augmentation == "cutdiff" else {"angle": 1.0})
    elif number:
        ends = {name: value * (1 + 0.05 * number) for name, value in ends.items()}
    begins = {name: value * (0.4 + 0.5 * number) for name, value in ends.items()}
    noise = np.random.default_rng(number)
    path = 1 - np.exp(-np.linspace(0, 4, steps))
    trajectory = {
        name: [
            float(v)
            for v in begins[name] + (ends[name] - begins[name]) * path + 0.02 * ends[name] * noise.normal(size=steps)
        ]
        for name in ends
    }
    return StartRecord(
        job=f"tune-{augmentation}-{number}",
        augmentation=augmentation,
        start=begins,
        end=ends,
        steps=[8 * i for i in range(steps)],
        trajectory=trajectory,
        validation_loss=[float(v) for v in 1.05 - (0.02 + 0.01 * number) * path + 0.002 * noise.normal(size=steps)],
        training_loss=[float(v) for v in 0.7 * np.exp(-2 * path) + 0.02 * noise.normal(size=steps)],
        variance=1.7 + 0.2 * number,
        status=status,
        note="pseudo-anomalies equal normal images" if status == "identity" else "",
    )


def estimate(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half)


def candidate(
    number: int,
    *,
    augmentation: str = "cutdiff",
    origin: str = "dynamic",
    score: str = "pooled",
    value: float | None = 0.6,
    status: str = "ok",
    chosen: bool = False,
    size: int = 64,
) -> CandidateRecord:
    magnitudes = {"tuned": TUNED, "dynamic": {"area": (0.003, 0.4), "amplitude": (-1.0, 1.0)}, "none": {}}[origin]
    return CandidateRecord(
        id=f"c{number}",
        augmentation=augmentation,
        origin=origin,
        magnitudes=magnitudes,
        size=(size, size),
        score=score,
        criterion=None if value is None else estimate(value),
        two_sample_auroc=None if value is None else estimate(value),
        excess_95=None if value is None else 0.21,
        excess_99=None if value is None else 0.084,
        gap=None if value is None or chosen else estimate(0.68 - value, 0.015),
        chosen=chosen,
        status=status,
        note="the loss became infinite" if status == "failed" else "",
    )


def candidates(n: int = 12) -> list[CandidateRecord]:
    scores = ["pooled", "gaussian", "position", "logit"]
    rows = [candidate(0, origin="tuned", value=0.681, chosen=True, size=128)]
    rows += [
        candidate(
            i,
            augmentation=["cutdiff", "rotation", "cutout", "cutpaste"][i % 4],
            score=scores[i % 4],
            value=0.675 - 0.012 * i if n < 20 else 0.675 - 0.003 * i,
            size=64 if i % 3 else 128,
        )
        for i in range(1, n - 3)
    ]
    rows.append(candidate(n - 3, augmentation="none", origin="none", value=0.573))
    rows.append(candidate(n - 2, augmentation="cutdiff", origin="tuned", value=None, status="identity"))
    rows.append(candidate(n - 1, augmentation="cutpaste", value=None, status="failed"))
    return rows


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
        "augmentation": "Training with cutdiff fits these images better than no training: +0.108.",
        "none": "No augmentation was better than an untrained network.",
        "abstain": "The candidates cannot be told apart on these images; the simplest was taken.",
    }
    trained = verdict == "augmentation"
    return ChoiceRecord(
        candidate="c0",
        committee=["c0", "c1"],
        verdict=verdict,
        sentence=sentences[verdict],
        augmentation="cutdiff" if trained else "none",
        magnitudes=TUNED if trained else {},
        score="pooled",
        size=(128, 128),
        advantage_over_none=estimate(0.108, 0.017) if trained else None,
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
        screened=[
            ScreenedRecord(
                augmentation="cutdiff",
                start={name: low for name, (low, _) in TUNED.items()},
                two_sample_auroc=0.61,
                kept=True,
            ),
        ],
        starts=[
            start(0),
            start(1),
            start(2),
            start(3, status="identity"),
            start(0, augmentation="rotation"),
            start(1, augmentation="rotation", status="collapsed"),
        ],
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
        pseudo=list(zip(bare[:3], bare[3:], strict=True)),
        suspicious=[picture(40 + i, size=size, flagged=i == 0) for i in range(suspicious)],
    )
