"""Ray on a real cluster: two nodes on this machine, one of which is killed in the middle of the work."""

import os
import signal
import sys
import threading
import time
from concurrent.futures import wait
from pathlib import Path

import numpy as np
import pytest

from feint.backends import RayExecutor
from feint.core.errors import SettingError, WorkerError
from feint.testing.backends import BACKEND_CHECKS

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def executor(two_nodes):
    with RayExecutor(address=two_nodes.address) as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def functions_of_this_file_travel():
    """The nodes cannot import it, as they could not on another machine."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def node_of_this_job() -> str:
    return ray.get_runtime_context().get_node_id()


def begin(folder: Path, job: int) -> None:
    """Leave a file that says where this attempt at a job began."""
    (folder / f"{job}-{node_of_this_job()}-{os.getpid()}").touch()


def attempts(folder: Path) -> list[tuple[int, str]]:
    """Return (job, node) of every attempt so far."""
    return [(int(job), node) for job, node, _ in (path.name.split("-") for path in folder.iterdir())]


def slow_square(folder: Path, job: int) -> int:
    begin(folder, job)
    time.sleep(1.5)
    return job * job


def wait_until(happened, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


@pytest.mark.parametrize("check", BACKEND_CHECKS, ids=lambda check: check.__name__)
def test_backend(executor, check):
    check(executor)


def test_both_nodes_work_with_one_thread_per_job(executor):
    def where() -> tuple[str, int, str]:
        import torch

        time.sleep(0.5)
        return node_of_this_job(), torch.get_num_threads(), os.environ["FEINT_CORES"]

    found = list(executor.map(lambda _: where(), range(24)))
    assert len({node for node, _, _ in found}) == 2
    assert {each[1:] for each in found} == {(1, "1")}


def test_an_error_carries_the_workers_traceback_and_is_not_tried_again(executor, tmp_path):
    def fail() -> None:
        begin(tmp_path, 0)
        raise LookupError("image 2 is missing")

    error = executor.submit(fail).exception(timeout=60)
    assert isinstance(error, LookupError)
    assert "in fail" in "".join(error.__notes__)
    assert len(attempts(tmp_path)) == 1


def test_results_are_ones_own_to_change(executor):
    found = executor.submit(np.zeros, 1_000_000).result(timeout=60)
    found += 1
    assert found.sum() == 1_000_000


def test_what_cannot_be_pickled_is_an_error_not_a_hang(executor):
    for future in (executor.submit(threading.Lock), executor.submit(str, threading.Lock())):
        with pytest.raises(TypeError, match=r"(?i)pickle|serialize"):
            future.result(timeout=60)


def test_the_same_array_is_put_once(executor, tmp_path):
    once, again, other = (executor.share(np.ones(n), folder=tmp_path, name="ones") for n in (5, 5, 6))
    assert once is again
    assert other is not once
    assert list(tmp_path.iterdir()) == []


def test_there_is_one_worker_per_core_of_the_cluster(executor):
    assert executor.workers == 2


def test_two_executors_in_one_process_are_refused(executor):
    with pytest.raises(SettingError, match="already in use"):
        RayExecutor()


def test_a_waiting_job_can_be_cancelled(executor):
    futures = [executor.submit(time.sleep, 0.5) for _ in range(6)]
    assert futures[-1].cancel()
    wait(futures, timeout=60)
    assert [future.cancelled() for future in futures] == [False] * 5 + [True]


def test_a_job_that_always_kills_its_worker_is_lost_by_name_and_no_other(executor, tmp_path):
    def die(job: int) -> int:
        begin(tmp_path, job)
        if job == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return job

    futures = [executor.submit(die, job) for job in range(4)]
    with pytest.raises(WorkerError, match=r"die\(1\) lost its worker 4 times"):
        futures[1].result(timeout=60)
    assert [future.result(timeout=60) for job, future in enumerate(futures) if job != 1] == [0, 2, 3]
    assert sum(job == 1 for job, _ in attempts(tmp_path)) == 4


def test_jobs_of_a_node_that_is_killed_run_elsewhere_and_each_result_comes_once(executor, two_nodes, tmp_path):
    doomed = two_nodes.add()
    shared = executor.share(np.arange(100_000), folder=tmp_path, name="numbers")

    def job(i: int) -> tuple[int, int]:
        return slow_square(tmp_path, i), int(shared.open()[i])

    futures = [executor.submit(job, i) for i in range(9)]
    wait_until(lambda: any(node == doomed.node_id for _, node in attempts(tmp_path)))
    os.kill(doomed.all_processes["raylet"][0].process.pid, signal.SIGKILL)
    assert [future.result(timeout=60) for future in futures] == [(i * i, i) for i in range(9)]
    begun = attempts(tmp_path)
    lost = {job for job, node in begun if node == doomed.node_id}
    again = {job for job, node in begun if node != doomed.node_id}
    assert lost
    assert again == set(range(9)), "a job that began on the killed node did not run elsewhere"
