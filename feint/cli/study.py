"""`feint study`: plan, run, look at and report a study."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feint.cli.terminal import StatusLine, TrackOption, duration, say

if TYPE_CHECKING:
    from feint.studies.run import Progress

FAILED_SHOWN = 10

app = typer.Typer(
    help="Does this augmentation help on this anomaly? Plans, runs and reports studies.", no_args_is_help=True
)
StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="The folder that `feint study run` filled.")]


class PlanName(StrEnum):
    """Plans that come with Feint."""

    paper = "paper"
    st_ssad = "st-ssad"
    wild = "wild"


class BackendName(StrEnum):
    """Where cells run."""

    serial = "serial"
    processes = "processes"
    ray = "ray"


@app.callback()
def _group() -> None:
    """Does this augmentation help on this anomaly? Plans, runs and reports studies."""


@app.command()
def plan(
    name: Annotated[PlanName, typer.Argument(help="Which plan.")],
    out: Annotated[
        Path | None, typer.Option(help="The TOML file to write (default: print it).", metavar="PLAN.toml")
    ] = None,
    root: Annotated[str, typer.Option(help="The folder of the data sets.", metavar="DIR")] = "DATA",
) -> None:
    """Write or print a plan that comes with Feint, to be changed by hand."""
    from feint.core.errors import OutputError
    from feint.core.files import write_text
    from feint.studies.paper import ABOUT, plan_text

    text = plan_text(name.value, root=root)
    if out is None:
        print(text, end="")  # noqa: T201
        return
    if out.exists():
        raise OutputError(f"{out} exists already and is not overwritten: choose another name.")
    write_text(out, text)
    say(f"Wrote {out}: {ABOUT[name.value]}. Next: feint study run {out} --store STORE --dry-run")


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="What to run.")],
    store: Annotated[Path, typer.Option(help="The folder of the records; running again resumes.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the plan, print cells, cost and disk needed.")
    ] = False,
    backend: Annotated[BackendName, typer.Option(help="Where cells run.")] = BackendName.processes,
    workers: Annotated[int | None, typer.Option(help="How many at a time (default: one per core).", min=1)] = None,
    address: Annotated[str | None, typer.Option(help="HOST:PORT of a Ray cluster.", metavar="HOST:PORT")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run the cells again that failed.")] = False,
    track: TrackOption = None,
) -> None:
    """Run the cells of a plan that STORE does not hold yet. Kill it at any moment: nothing finished is run twice."""
    if dry_run:
        from feint.studies.estimating import estimate

        print(estimate(plan, workers=workers).text())  # noqa: T201
        return
    from feint.studies.run import run_study

    with Lines() as tell:
        counts = run_study(
            plan, store, backend=backend.value, workers=workers, address=address, retry_failed=retry_failed, tell=tell,
            trackers=track or (),
        )  # fmt: skip
    say(f"{counts.done} cells done, {counts.failed} failed. Next: feint study report {store} --out study.html")
    if counts.failed:
        say(f"`feint study status {store}` says why; --retry-failed runs them again.")


@app.command()
def status(
    store: StoreArgument,
    traceback: Annotated[bool, typer.Option("--traceback", help="Print the tracebacks of failed cells.")] = False,
) -> None:
    """Say how many cells are done, failed and left, and why cells failed."""
    from feint.studies.store import Store

    with Store(store) as opened:
        counts, cells, traces, notes = opened.counts(), opened.cells(), opened.tracebacks(), opened.notes()
    print(f"{counts.done} done, {counts.failed} failed, {counts.left} left")  # noqa: T201
    for note in notes:
        print(f"note: {note}")  # noqa: T201
    failed = cells[cells["status"] == "failed"]
    for number, cell in enumerate(failed.itertuples()):
        if number == FAILED_SHOWN and not traceback:
            print(f"... and {len(failed) - FAILED_SHOWN} more")  # noqa: T201
            break
        place = "/".join(str(part) for part in (cell.data, cell.normal, cell.task) if part)
        where = f"{cell.detector} with {cell.augmentation} on {place}, seed {cell.seed}"
        print(f"failed: {where}: {cell.reason}")  # noqa: T201
        if traceback:
            print(traces[str(cell.key)])  # noqa: T201


@app.command()
def export(
    store: StoreArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT.csv|OUT.parquet", help="The table to write.")],
    trajectories: Annotated[
        bool, typer.Option("--trajectories", help="Write the paths of tuned magnitudes instead.")
    ] = False,
) -> None:
    """Write one row per cell, task and metric."""
    from feint.studies.reading import export_rows, write_table
    from feint.studies.trajectories import read_trajectories

    rows = write_table(read_trajectories(store), out) if trajectories else export_rows(store, out)
    say(f"Wrote {rows:,} rows to {out}.")


@app.command()
def report(
    store: StoreArgument,
    out: Annotated[Path, typer.Option(help="The page to write.", metavar="PAGE.html")],
) -> None:
    """Write one self-contained HTML page: findings in words, charts, tables, where it helped and hurt."""
    from feint.backends import limit_threads
    from feint.core.files import write_text
    from feint.records.wild import WildRecord
    from feint.report.study import render, render_wild
    from feint.studies.reading import read_study

    limit_threads(1)  # t-SNE on few points: more threads only wait for one another
    found = read_study(store)
    write_text(out, render_wild(found) if isinstance(found, WildRecord) else render(found))
    say(f"Wrote {out}.")


class Lines(StatusLine):
    """Says how far the study is."""

    def __call__(self, progress: Progress) -> None:
        for note in progress.notes:
            say(f"note: {note}")
        counts = progress.counts
        line = f"{counts.done} done, {counts.failed} failed, {counts.left} left"
        if math.isfinite(progress.per_minute) and counts.left:
            line += f"; {progress.per_minute:.1f} cells a minute, {duration(progress.seconds_left)} to go"
        self.show(line, last=not counts.left)
