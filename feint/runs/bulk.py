"""Scoring in bulk: any number of images into a folder of Parquet files, in bounded memory, resumable at any moment."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np

import feint
from feint.backends import Backend, BackendName, awaited, open_workers
from feint.calibration.decision import decide
from feint.calibration.discoveries import largest_flagged
from feint.core.errors import InputError, OutputError
from feint.data.listing import list_parts
from feint.data.manifests import require_pyarrow
from feint.data.parts import Part
from feint.data.remote import digest_of_queries, is_url, redacted
from feint.runs.bulk_pieces import score_parts
from feint.runs.bulk_store import BulkStore, Job, fingerprint_of, refuse_foreign
from feint.runs.bulk_worker import Judging, Opener, Rows, describe, score_piece
from feint.runs.scored import drift_warning

if TYPE_CHECKING:
    import pyarrow as pa

PART = 1024
MOST_FOR_DRIFT = 100_000


@final
@dataclass(frozen=True)
class Progress:
    """How far a job is: images done of all, and of this attempt images per second and seconds left (NaN at first)."""

    done: int
    total: int
    per_second: float
    seconds_left: float


@final
@dataclass(frozen=True)
class Summary:
    """What a finished job found: images in all, those flagged and those unreadable; a drift warning if any."""

    images: int
    flagged: int
    unreadable: int
    seconds: float
    drift: str | None


def run_bulk(
    opener: Opener,
    model: Path,
    source: str,
    *,
    out: Path,
    column: str | None = None,
    backend: BackendName = "processes",
    workers: int | None = None,
    address: str | None = None,
    part_size: int = PART,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Summary:
    """Carry out a bulk job; see `feint.export.api.score_in_bulk`.

    Args:
        opener: opens the model, in each worker once: `open_run` or `open_export`. model: its folder.
        part_size: images in a part file; it belongs to what makes a job the same.
    """
    require_pyarrow(out)
    _refuse_within(source, out)
    refuse_foreign(out)
    begun = time.monotonic()
    source = source if is_url(source) else str(Path(source).absolute())
    model = model.absolute()
    with open_workers(backend, workers=workers, address=address) as executor, BulkStore(out) as store:
        about = awaited(executor.submit(describe, opener, model))
        job = Job(
            feint=feint.__version__,
            model=about.sha256,
            source=redacted(source),
            query=digest_of_queries(source),
            column=column,
            part_size=part_size,
        )
        store.begin(job)
        count, total = store.list(list_parts(source, column=column, size=part_size))
        if about.mode == "fdr" and len(store.parts() | store.parts(flagged=False)) < count:
            store.unflag()  # images were added since: what is a discovery depends on all of them
        score = partial(score_piece, opener, model, about.sha256)
        _score_missing(store, score, about, executor, total=total, tell=tell)
        if about.mode == "fdr":
            _flag_discoveries(store, about.rate)
        summary = _summary(store, about, total, time.monotonic() - begun)
        store.finish({"images": summary.images, "flagged": summary.flagged, "unreadable": summary.unreadable})
    if summary.unreadable == total:
        raise InputError(f"none of the {total:,} images can be used: {out} says why.")
    return summary


def _score_missing(
    store: BulkStore,
    score: Callable[[Part, int, int], Rows],
    about: Judging,
    executor: Backend,
    *,
    total: int,
    tell: Callable[[Progress], None],
) -> None:
    """Score the parts that have no file yet."""
    at_once = about.mode == "false_alarm_rate"
    finished = store.parts() | store.parts(flagged=False)
    kept = sum(len(part) for number, part in store.listed() if number in finished)
    tell(Progress(kept, total, float("nan"), float("nan")))
    missing = ((number, part) for number, part in store.listed() if number not in finished)
    begun, done = time.monotonic(), 0
    with closing(score_parts(missing, score, executor)) as found:
        for number, part, rows in found:
            flags = decide(rows.p_values, false_alarm_rate=about.rate) if at_once else None
            store.write(_table(part, rows, flags), number, part.fingerprint, flagged=at_once)
            done += len(part)
            rate = done / (time.monotonic() - begun)
            tell(Progress(kept + done, total, rate, (total - kept - done) / rate))


def _table(part: Part, rows: Rows, flags: np.ndarray | None) -> pa.Table:
    import pyarrow as pa

    unread = np.isnan(rows.scores)
    flagged = np.zeros(len(part), np.int8) if flags is None else flags.astype(np.int8)
    reasons = [rows.reasons.get(place) for place in range(len(part))]
    return pa.table(
        {
            "path": pa.array(part.names, pa.string()),
            "score": pa.array(rows.scores, mask=unread),
            "p_value": pa.array(rows.p_values, mask=unread),
            "flagged": pa.array(flagged, mask=unread | (flags is None)),
            "reason": pa.array(reasons, pa.string()),
        }
    )


def _flag_discoveries(store: BulkStore, rate: float) -> None:
    """Flag over all images together: count the p-values, which take few values, then write each part once more."""
    import pyarrow as pa
    from pyarrow.parquet import read_table

    finished = store.parts()
    waiting = {number: path for number, path in store.parts(flagged=False).items() if number not in finished}
    counts: Counter[float] = Counter()
    for each in (finished | waiting).values():
        values, times = np.unique(read_table(each, columns=["p_value"])["p_value"].drop_null(), return_counts=True)
        counts.update(dict(zip(values.tolist(), times.tolist(), strict=True)))
    line = largest_flagged(counts, rate)
    for number, path in sorted(waiting.items()):
        table = read_table(path)
        p = table["p_value"].to_numpy()
        flags = pa.array((p <= line).astype(np.int8), mask=np.isnan(p))
        table = table.set_column(table.schema.get_field_index("flagged"), "flagged", flags)
        store.write(table, number, fingerprint_of(path))


def _summary(store: BulkStore, about: Judging, total: int, seconds: float) -> Summary:
    """Count what the part files hold; drift is judged by at most 100,000 scores, evenly spaced."""
    flagged = unreadable = images = 0
    scores: list[np.ndarray] = []
    step = -(-total // MOST_FOR_DRIFT)
    for table in _tables(store):
        flagged += sum(table["flagged"].drop_null().to_pylist())
        unreadable += table["flagged"].null_count
        scores.append(table["score"].to_numpy()[-images % step :: step])
        images += len(table)
    if images != total:
        raise OutputError(f"{store.out} holds {images:,} images instead of {total:,}: files were changed. Start again.")
    joined = np.concatenate(scores)
    drift = drift_warning(about.drift_reference, joined[~np.isnan(joined)])
    return Summary(images, flagged, unreadable, seconds, drift)


def _tables(store: BulkStore) -> Iterator[pa.Table]:
    from pyarrow.parquet import read_table

    for _, path in sorted(store.parts().items()):
        yield read_table(path, columns=["score", "flagged"])


def _refuse_within(source: str, out: Path) -> None:
    if not is_url(source) and out.resolve().is_relative_to(Path(source).resolve()):
        raise OutputError(f"{out} lies in {Path(source)}, which is to be read: choose another place with --out.")
