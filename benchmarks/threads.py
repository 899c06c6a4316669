"""Question: does Feint keep two trainings at once from fighting over the cores?

Command: `python benchmarks/threads.py [--steps 100] [--rounds 3] [--json]`.
Cost: about a minute on two idle cores; several on busy ones, the naive way taking nearly all of it.
What it does: the same trainings of a small convolutional network, as many as there are cores, three ways in one run:
Feint's process backend (each worker with its share of the cores); one after the other with all cores as threads; and
naively, in Python's own process pool, each process with torch's default number of threads. Workers are started and
warm before the clock runs; the three ways take turns, and the median of the rounds counts.
Expected: the backend is the fastest; the naive way takes several times as long.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor

from feint.backends import ProcessExecutor, available_cores, divide


def train(seed: int, steps: int) -> int:
    """Train on made-up images; return the number of threads used."""
    import torch
    from torch import nn

    from feint.networks.conv import Classifier

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Classifier(1)
        images, labels = torch.rand(64, 1, 32, 32), (torch.arange(64) % 2).float()
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(network(images)[1], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.get_num_threads()


def run(executor: Executor, trainings: int, steps: int) -> tuple[float, int]:
    began = time.perf_counter()
    threads = list(executor.map(train, range(trainings), [steps] * trainings))
    return time.perf_counter() - began, threads[0]


def measure(steps: int, rounds: int) -> dict[str, object]:
    cores = available_cores()
    trainings = max(2, cores)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY"):
        os.environ.pop(name, None)
    with (
        ProcessExecutor(trainings, threads=divide(cores, trainings)) as backend,
        ProcessExecutor(1, threads=cores) as serial,
        ProcessPoolExecutor(trainings, mp_context=multiprocessing.get_context("spawn")) as naive,
    ):
        ways = {"backend": backend, "serial": serial, "naive": naive}
        threads = {name: run(executor, trainings, 5)[1] for name, executor in ways.items()}
        found = [{name: run(executor, trainings, steps)[0] for name, executor in ways.items()} for _ in range(rounds)]
    seconds = {name: statistics.median(each[name] for each in found) for name in ways}
    return {
        "cores": cores,
        "trainings": trainings,
        "steps": steps,
        "rounds": rounds,
        "load_average": os.getloadavg()[0],
        "threads": threads,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "ratio_to_backend": {name: round(value / seconds["backend"], 2) for name, value in seconds.items()},
    }


def table(found: dict) -> str:
    n = found["trainings"]
    rows = [
        f"| {label} | {found['threads'][way]} | {found['seconds'][way]} | {found['ratio_to_backend'][way]} |"
        for way, label in {
            "backend": f"Feint's process backend, {n} at once",
            "serial": "one after the other",
            "naive": f"naive, {n} at once",
        }.items()
    ]
    title = f"{n} trainings of {found['steps']} steps on {found['cores']} cores, median of {found['rounds']} rounds"
    return "\n".join([title, "", "| way | threads each | seconds | against the backend |", "|---|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.steps, options.rounds)
    if options.json:
        json.dump(found, sys.stdout, indent=2)
        print()
    else:
        print(table(found))


if __name__ == "__main__":
    main()
