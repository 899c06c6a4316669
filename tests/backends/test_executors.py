"""Promises of both backends: what runs in worker processes is what runs here."""

import os
import sys
import time
from concurrent.futures import Executor, wait
from pathlib import Path

import numpy as np
import pytest
import torch

from feint.backends import ProcessExecutor, SerialExecutor, available_cores, limit_threads, open_backend, open_named
from feint.core.errors import SettingError, WorkerError


@pytest.fixture(scope="module", params=["serial", "processes"])
def executor(request) -> Executor:
    with SerialExecutor() if request.param == "serial" else ProcessExecutor(2, threads=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def processes() -> ProcessExecutor:
    with ProcessExecutor(2, threads=1) as opened:
        yield opened


def train(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x, w = torch.randn(64, 8, generator=generator), torch.zeros(8, requires_grad=True)
    for _ in range(20):
        loss = (x @ w - x.sum(1)).square().mean()
        w.data -= 0.1 * torch.autograd.grad(loss, w)[0]
    return w.detach()


def fail_on(bad: int, i: int) -> int:
    if i == bad:
        raise LookupError(f"image {i} is missing")
    return i


def test_same_results_in_the_same_order_as_a_plain_loop(executor):
    found = list(executor.map(train, range(6)))
    assert all(torch.equal(a, train(seed)) for seed, a in enumerate(found))


def test_order_is_that_of_submission_not_of_completion(executor):
    assert list(executor.map(lambda s: (time.sleep(s), s)[1], [0.3, 0.0, 0.1])) == [0.3, 0.0, 0.1]


def test_a_failing_job_is_not_lost_and_loses_no_other(executor):
    futures = [executor.submit(fail_on, 2, i) for i in range(5)]
    wait(futures)
    assert [f.result() for f in futures if f.exception() is None] == [0, 1, 3, 4]
    with pytest.raises(LookupError, match="image 2 is missing"):
        futures[2].result()


def test_leaving_by_sys_exit_is_an_error_of_the_job(executor):
    assert isinstance(executor.submit(exit, 3).exception(), SystemExit)
    assert executor.submit(abs, -1).result() == 1


def test_large_arguments_and_results_arrive_whole(executor):
    array = np.arange(5_000_000, dtype=np.uint8).reshape(5, -1)
    found = executor.submit(np.flipud, array).result()
    assert np.array_equal(found, array[::-1])


def test_keyword_arguments_and_local_functions_travel(executor):
    offset = 7

    def shifted(x: int, *, scale: int = 1) -> int:
        return x * scale + offset

    assert executor.submit(shifted, 2, scale=3).result() == 13


def test_a_result_that_cannot_be_pickled_is_an_error_not_a_hang(processes):
    import threading

    with pytest.raises(TypeError, match="pickle"):
        processes.submit(threading.Lock).result(timeout=120)
    assert processes.submit(abs, -1).result() == 1


def test_an_argument_that_cannot_be_pickled_is_an_error_not_a_hang(processes):
    import threading

    with pytest.raises(TypeError, match="pickle"):
        processes.submit(str, threading.Lock()).result(timeout=120)


class AwkwardError(Exception):
    """Pickles, and cannot be unpickled: the constructor wants two arguments, pickle gives it one."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} in {where}")


def test_an_error_that_cannot_be_pickled_arrives_as_text(processes):
    def fail() -> None:
        raise AwkwardError("hole", "road")

    with pytest.raises(WorkerError, match=r"(?s)fail\(\) failed in its worker.*AwkwardError: hole in road"):
        processes.submit(fail).result(timeout=120)


def test_an_error_carries_the_workers_traceback(processes):
    error = processes.submit(fail_on, 1, 1).exception()
    assert "in fail_on" in "".join(error.__notes__)


def test_a_waiting_job_can_be_cancelled(processes, tmp_path):
    def wait_for_leave() -> None:
        while not (tmp_path / "leave").exists():
            time.sleep(0.01)

    futures = [processes.submit(wait_for_leave) for _ in range(4)]
    assert futures[-1].cancel()
    (tmp_path / "leave").touch()
    wait(futures)
    assert [f.cancelled() for f in futures] == [False, False, False, True]


def test_each_worker_has_exactly_its_share_of_threads(processes):
    def share() -> tuple[int, str, int]:
        return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"], available_cores()

    assert processes.submit(share).result() == (1, "1", 1)


@pytest.mark.parametrize(("threads", "started"), [(1, 0), (2, 1)])
def test_computing_starts_no_thread_beyond_the_share(threads, started):
    def threads_started() -> int:
        before = len(list(Path("/proc/self/task").iterdir()))
        torch.rand(600, 600) @ torch.rand(600, 600)
        torch.rand(10**7).sum()
        return len(list(Path("/proc/self/task").iterdir())) - before

    with ProcessExecutor(1, threads=threads) as executor:
        assert executor.submit(threads_started).result() == started


def test_serial_lets_ctrl_c_through():
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SerialExecutor().submit(interrupted)


@pytest.mark.parametrize(
    ("cores", "workers", "kind", "threads"),
    [(1, None, SerialExecutor, 1), (1, 8, SerialExecutor, 1), (4, 1, SerialExecutor, 4), (5, 2, ProcessExecutor, 2)],
)
def test_open_backend_divides_the_cores(monkeypatch, cores, workers, kind, threads):
    monkeypatch.setattr("feint.backends.available_cores", lambda: cores)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    before = torch.get_num_threads()
    try:
        with open_backend(workers) as executor:
            assert isinstance(executor, kind)
            assert executor.submit(torch.get_num_threads).result() == torch.get_num_threads() == threads
    finally:
        limit_threads(before)


@pytest.mark.parametrize("workers", [0, -1])
def test_open_backend_refuses_less_than_one_worker(workers):
    with pytest.raises(SettingError, match=f"at least 1: got {workers}"), open_backend(workers):
        pass


@pytest.mark.parametrize(
    ("name", "cores", "workers", "kind", "threads"),
    [
        ("serial", 4, None, SerialExecutor, 4),
        ("processes", 1, None, ProcessExecutor, 1),
        ("processes", 4, 2, ProcessExecutor, 2),
        ("processes", 2, 8, ProcessExecutor, 1),
    ],
)
def test_open_named_divides_the_cores(monkeypatch, name, cores, workers, kind, threads):
    monkeypatch.setattr("feint.backends.available_cores", lambda: cores)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    before = torch.get_num_threads()
    try:
        with open_named(name, workers=workers) as backend:
            assert isinstance(backend, kind)
            assert backend.submit(torch.get_num_threads).result() == torch.get_num_threads() == threads
    finally:
        limit_threads(before)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("processes", {"workers": 0}, "workers must be at least 1: got 0"),
        ("dask", {}, "backend must be one of serial, processes, ray: got 'dask'"),
        ("serial", {"workers": 2}, "the serial backend has one worker: got 2"),
        ("processes", {"address": "10.0.0.1:6379"}, "an address is for the backend ray: got '10.0.0.1:6379'"),
    ],
)
def test_open_named_refuses_what_makes_no_sense(name, settings, sentence):
    with pytest.raises(SettingError, match=sentence), open_named(name, **settings):
        pass


def test_a_missing_ray_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    before = torch.get_num_threads()
    try:
        with (
            pytest.raises(SettingError, match=r"Ray is not installed: pip install 'feint\[ray\]'\."),
            open_named("ray"),
        ):
            pass
    finally:
        limit_threads(before)
