"""The run folder: records, tables, model, pictures and page, written together."""

from __future__ import annotations

import datetime
import json
import platform
import shlex
from collections.abc import Sequence
from importlib import metadata

import numpy as np
import torch

from feint import __version__
from feint.core.detector import as_unit
from feint.core.files import write_text
from feint.core.streams import numpy_stream, stream
from feint.records.run import LandscapeRecord, PhaseRecord, RunRecord, ShareRecord
from feint.report import Gallery, Picture, PseudoGroup, render
from feint.runs.card import write_card
from feint.runs.carrying_out import Crew
from feint.runs.choosing import Choice, candidate_records, choice_record, choice_warnings
from feint.runs.committee_jobs import CommitteeJob, FinalJob
from feint.runs.jobs import Pixels
from feint.runs.judging import Judged, Verdict
from feint.runs.landscapes import Landscapes
from feint.runs.preparing import Prepared
from feint.runs.recipes import Making
from feint.runs.scored import csv_text, score_table
from feint.runs.settings import TuneSettings
from feint.runs.weighed import write_weighed

SHOWN, NORMALS_SHOWN, PAIRS_SHOWN, SUSPICIOUS_SHOWN = 24, 12, 8, 12


def record_of(
    data: Prepared,
    settings: TuneSettings,
    choice: Choice,
    verdict: Verdict,
    *,
    phases: list[PhaseRecord],
    landscapes: list[LandscapeRecord],
) -> RunRecord:
    """Return the record of the run, as run.json will hold it."""
    sizes = {px: data.size(px) for px in data.preprocessing}
    return RunRecord(
        versions={"feint": __version__, "python": platform.python_version(), "platform": platform.platform()}
        | {name: metadata.version(name) for name in ("torch", "numpy", "scipy", "scikit-learn", "pillow")},
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seed=settings.seed,
        settings=settings.model_dump(mode="json"),
        command=_command(data, settings),
        data=data.record,
        preprocessing=verdict.model.members[0].preprocessing,
        landscapes=landscapes,
        candidates=candidate_records(choice, sizes),
        choice=choice_record(choice, sizes),
        calibration=verdict.calibration,
        found=verdict.found,
        phases=phases,
        warnings=[*data.warnings, *verdict.warnings, *choice_warnings(choice, landscapes)],
    )


def _command(data: Prepared, settings: TuneSettings) -> str:
    """Return the command line that makes this run again."""
    words = ["feint", "tune", data.record.normal.source, data.record.unlabelled.source, "--out", "RUN"]
    for name, value in settings.model_dump(mode="json", exclude_defaults=True).items():
        words.append(f"--{'nuisance' if name == 'nuisances' else name.replace('_', '-')}")
        if value is not True:
            words.append(",".join(value) if isinstance(value, list) else str(value))
    return shlex.join(words)


def write_run(
    record: RunRecord,
    *,
    data: Prepared,
    choice: Choice,
    landscapes: Landscapes,
    finals: list[FinalJob],
    verdict: Verdict,
    normals: Judged,
    crew: Crew,
) -> Gallery:
    """Write everything a run consists of into the workspace's result folder; return the pictures of its page."""
    folder = crew.space.result
    folder.mkdir(exist_ok=True)
    write_weighed(folder, data=data, choice=choice, landscapes=landscapes, jobs=crew.space.jobs)
    return write_detector(record, data=data, finals=finals, verdict=verdict, normals=normals, crew=crew)


def write_detector(
    record: RunRecord,
    *,
    data: Prepared,
    finals: Sequence[CommitteeJob],
    verdict: Verdict,
    normals: Judged,
    crew: Crew,
) -> Gallery:
    """Write what a run consists of but the candidates it has weighed; return the pictures of its page."""
    folder = crew.space.result
    folder.mkdir(exist_ok=True)
    verdict.model.save(folder, version=__version__)
    write_text(folder / "scores.csv", table(data.unlabelled_names, verdict.unlabelled))
    write_text(folder / "normals.csv", table(data.normal_names, normals))
    logs = sorted(crew.space.logs.glob("*.jsonl"))
    write_text(folder / "metrics.jsonl", "".join(log.read_text(encoding="utf-8") for log in logs))
    gallery = _gallery(record, data, finals, verdict, normals, crew)
    page = render(
        record,
        gallery=gallery,
        scores=verdict.unlabelled.scores,
        calibration_scores=verdict.model.calibration_scores,
        map_scale=verdict.model.map_scale,
    )
    write_text(folder / "report.html", page)
    write_text(folder / "run.json", json.dumps(record.model_dump(mode="json"), indent=2, allow_nan=False))
    write_card(folder)
    return gallery


def table(names: tuple[str, ...], judged: Judged) -> str:
    """Return the CSV `path,score,p_value,flagged`, highest score first."""
    return csv_text(score_table(list(names), judged.scores, judged.p_values, judged.flagged))


def _gallery(
    record: RunRecord,
    data: Prepared,
    finals: Sequence[CommitteeJob],
    verdict: Verdict,
    normals: Judged,
    crew: Crew,
) -> Gallery:
    """Return the pictures of the report, with maps by the chosen detector."""
    job, found = finals[0], verdict.unlabelled
    calibration = data.rotations[0].calibration
    top = np.argsort(-found.scores, kind="stable")[:SHOWN]
    strip = numpy_stream(record.seed, "gallery").permutation(calibration)[:NORMALS_SHOWN]
    suspicious = np.argsort(normals.p_values, kind="stable")[:SUSPICIOUS_SHOWN]
    suspicious = suspicious[np.argsort(-normals.scores[suspicious], kind="stable")]
    of = job.material
    requests = [(of.unlabelled, top), (of.normal, strip), (of.normal, suspicious)]
    maps = crew.maps(job, requests)
    return Gallery(
        anomalous=_pictures(of.unlabelled, top, data.unlabelled_names, found, maps[0]),
        normal=_pictures(of.normal, strip, data.normal_names, normals, maps[1]),
        pseudo=[_group(record, data, job, share) for share in record.choice.shares if share.magnitudes],
        suspicious=_pictures(of.normal, suspicious, data.normal_names, normals, maps[2]),
    )


def _pictures(
    pixels: Pixels, rows: np.ndarray, names: tuple[str, ...], judged: Judged, maps: np.ndarray
) -> list[Picture]:
    images = pixels.open()
    return [
        Picture(
            name=names[row],
            image=_shown(images[row]),
            score=float(judged.scores[row]),
            p_value=float(judged.p_values[row]),
            flagged=bool(judged.flagged[row]),
            map=each,
        )
        for row, each in zip(rows, maps, strict=True)
    ]


def _group(record: RunRecord, data: Prepared, job: CommitteeJob, share: ShareRecord) -> PseudoGroup:
    """Return normal images beside the pseudo-anomalies that one share of the answer makes of them."""
    rows = numpy_stream(record.seed, "pairs").permutation(data.rotations[0].training)[:PAIRS_SHOWN]
    images = job.material.normal.rows(rows)
    policy = Making(augmentation=share.augmentation, ranges=share.magnitudes).policy()
    pseudo = policy(as_unit(images), generator=stream(record.seed, "pairs", share.augmentation))
    changed = (pseudo.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    pairs = [
        (_plain(data.normal_names[row], before), _plain(data.normal_names[row], after))
        for row, before, after in zip(rows, images.numpy(), changed, strict=True)
    ]
    return PseudoGroup(share=share, pairs=pairs)


def _plain(name: str, image: np.ndarray) -> Picture:
    return Picture(name=name, image=_shown(image), score=None, p_value=None, flagged=False, map=None)


def _shown(image: np.ndarray) -> np.ndarray:
    """Return (h, w) or (h, w, 3) of one image (c, h, w)."""
    return np.ascontiguousarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
