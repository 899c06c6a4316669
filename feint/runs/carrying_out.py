"""Carries out jobs on a backend: skips the finished ones, reports progress, names what failed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait

import numpy as np
import torch

from feint.backends import awaited
from feint.core.streams import stream
from feint.runs.committee_jobs import CommitteeJob, judge_rows, map_rows
from feint.runs.jobs import Job, Pixels, execute
from feint.runs.progress import Monitor
from feint.runs.workspace import Workspace

POLL = 0.5


class Crew:
    """Who does the work of a run, where, and who is told."""

    def __init__(self, backend: Executor, space: Workspace, monitor: Monitor) -> None:
        self.backend, self.space, self.monitor = backend, space, monitor

    def carry_out(self, jobs: Sequence[Job]) -> None:
        """Run every job that has not left its file yet, largest first.

        Raises: the first job's error once all others have finished, so that a failure loses no other work.
        """
        total = float(sum(job.cost for job in jobs))
        waiting = [job for job in jobs if not job.done(self.space.jobs)]
        finished = total - sum(job.cost for job in waiting)
        self.monitor.advance(finished, total)
        running = {
            self.backend.submit(execute, job, self.space.jobs, self.space.logs): job
            for job in sorted(waiting, key=lambda job: -job.cost)
        }
        first: BaseException | None = None
        while running:
            done, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
            for future in done:
                finished += running.pop(future).cost
                first = first or future.exception()
            self.monitor.advance(finished + sum(self._begun(job) for job in running.values()), total)
        if first is not None:
            raise first

    def scores(self, job: CommitteeJob, rows: np.ndarray) -> np.ndarray:
        """Return scores (1 + folds, n) of chosen normal images by finished voters: see `judge_rows`."""
        return awaited(self.backend.submit(judge_rows, job, self.space.jobs, rows=rows))

    def maps(self, job: CommitteeJob, requests: list[tuple[Pixels, np.ndarray]]) -> list[np.ndarray]:
        """Return the anomaly maps of a finished committee for the rows of each request."""
        return awaited(self.backend.submit(map_rows, job, self.space.jobs, requests=requests))

    def _begun(self, job: Job) -> float:
        """Return how much of a running job's cost is spent, from the lines it has logged."""
        log = self.space.logs / f"{job.id}.jsonl"
        if not job.ticks or not log.exists():
            return 0.0
        with log.open("rb") as file:
            return job.cost * min(1.0, sum(1 for _ in file) / job.ticks)


def estimate_seconds(costs: Sequence[float], *, workers: int, second_per_cost: float) -> float:
    """Return about how long jobs of these costs take on so many workers."""
    ends = [0.0] * workers
    for cost in sorted(costs, reverse=True):
        ends[ends.index(min(ends))] += cost
    return max(ends) * second_per_cost


def measure_speed() -> float:
    """Return the seconds that a unit of cost takes in this process: 10^9 multiplications of a training step."""
    from feint.networks.conv import Classifier, multiplications

    images = torch.rand(64, 1, 40, 40, generator=stream(0, "speed"))
    with torch.random.fork_rng(devices=[]):
        network = Classifier(1)
    best = float("inf")
    for _ in range(4):
        begun = time.perf_counter()
        torch.autograd.backward(network(images)[1].sum())
        best = min(best, time.perf_counter() - begun)
    return best / (64 * 3 * multiplications(1, (40, 40), width=16) / 1e9)
