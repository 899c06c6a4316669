"""Carries out jobs on a backend: skips the finished ones, reports progress, names what failed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait

from feint.runs.jobs import Job, execute
from feint.runs.progress import Monitor
from feint.runs.workspace import Workspace

POLL = 0.5


def carry_out(jobs: Sequence[Job], *, backend: Executor, space: Workspace, monitor: Monitor) -> None:
    """Run every job that has not left its file yet, largest first.

    Raises: the first job's error once all others have finished, so that a failure loses no other work.
    """
    total = float(sum(job.cost for job in jobs))
    waiting = [job for job in jobs if not job.done(space.jobs)]
    finished = total - sum(job.cost for job in waiting)
    monitor.advance(finished, total)
    order = sorted(waiting, key=lambda job: -job.cost)
    running = {backend.submit(execute, job, space.jobs, space.logs): job for job in order}
    first: BaseException | None = None
    while running:
        done, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
        for future in done:
            finished += running.pop(future).cost
            first = first or future.exception()
        monitor.advance(finished + sum(_begun(job, space) for job in running.values()), total)
    if first is not None:
        raise first


def _begun(job: Job, space: Workspace) -> float:
    """Return how much of a running job's cost is spent, from the lines it has logged."""
    log = space.logs / f"{job.id}.jsonl"
    if not job.ticks or not log.exists():
        return 0.0
    with log.open("rb") as file:
        return job.cost * min(1.0, sum(1 for _ in file) / job.ticks)


def estimate_seconds(jobs: Sequence[Job], *, workers: int, second_per_cost: float) -> float:
    """Return about how long the jobs take on so many workers."""
    costs = sorted((job.cost for job in jobs), reverse=True)
    ends = [0.0] * workers
    for cost in costs:
        ends[ends.index(min(ends))] += cost
    return max(ends) * second_per_cost


def measure_speed() -> float:
    """Return the seconds that a unit of cost (10^9 multiplications of a convolution, both ways) takes on one thread."""
    import torch

    layer = torch.nn.Conv2d(32, 32, 3, padding=1)
    images = torch.zeros(32, 32, 32, 32)
    best = float("inf")
    for _ in range(4):
        begun = time.perf_counter()
        layer(images).sum().backward()
        best = min(best, time.perf_counter() - begun)
    return best / (32 * 32 * 32 * 9 * 32 * 32 * 3 / 1e9)

