"""What was finished survives Ctrl-C and a kill, no worker does, and --resume ends in the same bits."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from small_runs import picture, start, tune_arguments, write

from feint.backends import available_cores

WORKERS = 2 if available_cores() > 1 else 0  # on one core all is done in the process itself


def children(pid: int) -> set[int]:
    """Return the processes whose parent is `pid`."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == pid:
            found.add(int(stat.parent.name))
    return found


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def stopped_in_training(folders, out: Path, how: signal.Signals) -> tuple[int, str, set[int], list[Path]]:
    """Send a signal once jobs are finished; return exit code, stderr, the workers there were, and the finished jobs."""
    process = start(*tune_arguments(*folders, out))
    jobs = out.with_name(out.name + ".partial") / "jobs"
    until = time.monotonic() + 120
    while not list(jobs.glob("train-0*.safetensors")) and time.monotonic() < until:
        time.sleep(0.01)
    workers = children(process.pid)
    os.kill(process.pid, how)
    stdout, err = process.communicate(timeout=30)
    assert stdout == ""
    return process.returncode, err, workers, sorted(jobs.glob("*.safetensors"))


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_resuming_ends_in_the_bits_of_a_run_that_was_never_stopped(command, folders, finished, tmp_path, how, code):
    out = tmp_path / "run"
    returned, err, workers, jobs = stopped_in_training(folders, out, how)
    assert returned == code
    assert "Traceback" not in err
    assert (how == signal.SIGINT) == ("--resume goes on from there" in err)
    assert len(workers) == WORKERS
    until = time.monotonic() + 30
    while any(map(running, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(running, workers))

    assert [path.name for path in tmp_path.iterdir()] == ["run.partial"]
    assert jobs
    before = {path: path.stat().st_mtime_ns for path in jobs}
    kept = shutil.copytree(out.with_name("run.partial"), tmp_path / "kept.partial", copy_function=shutil.copy2)

    assert command(*tune_arguments(*folders, out, "--resume")).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.partial", "run"]
    for name in ("scores.csv", "normals.csv", "model.safetensors"):
        assert (out / name).read_bytes() == (finished.path / name).read_bytes()
    assert {path: (kept / "jobs" / path.name).stat().st_mtime_ns for path in jobs} == before


@pytest.fixture
def unfinished(command, folders, tmp_path, monkeypatch):
    """Return a workspace in which everything but the last step was done, and that step was interrupted."""
    from feint.runs import tune as module

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(module, "write_run", interrupted)
        outcome = command(*tune_arguments(*folders, tmp_path / "run"))
    assert (outcome.code, "--resume" in outcome.err) == (130, True)
    return tmp_path / "run.partial"


def test_finished_jobs_survive_a_wrong_command_and_are_not_run_again(
    unfinished, command, folders, finished, tmp_path, monkeypatch
):
    from feint.runs import committee_jobs, jobs

    assert command(*tune_arguments(tmp_path / "absent", folders[1], tmp_path / "run", "--resume")).code == 3
    assert command(*tune_arguments(*folders, tmp_path / "run", "--resume", "--fdr", "9")).code == 2

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(jobs.TrainingJob, "execute", forbidden)
    monkeypatch.setattr(jobs.LandscapeJob, "execute", forbidden)
    monkeypatch.setattr(committee_jobs.FinalJob, "execute", forbidden)
    assert command(*tune_arguments(*folders, tmp_path / "run", "--resume")).code == 0
    assert (tmp_path / "run/scores.csv").read_bytes() == (finished.path / "scores.csv").read_bytes()
    assert (tmp_path / "run/metrics.jsonl").read_bytes() == (finished.path / "metrics.jsonl").read_bytes()


def test_finished_jobs_survive_other_settings_and_a_command_without_resume(unfinished, command, folders, tmp_path):
    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (unfinished / "jobs").iterdir()}

    before, words = contents(), tune_arguments(*folders, tmp_path / "run")
    outcome = command(*words, "--resume", "--seed", "5", "--single")
    assert outcome.code == 4
    assert "other settings or images (seed, single): repeat that command, delete the folder" in outcome.sentence
    others = write(tmp_path / "others", {f"{i}.png": picture(5000 + i) for i in range(60)})
    outcome = command(*tune_arguments(folders[0], others, tmp_path / "run", "--resume"))
    assert (outcome.code, "(unlabelled)" in outcome.sentence) == (4, True)
    for each in (words, tune_arguments(tmp_path / "absent", folders[1], tmp_path / "run")):
        outcome = command(*each)
        assert outcome.code == 4
        assert f"{unfinished} holds what an earlier attempt has finished: go on" in outcome.sentence
    assert contents() == before


def test_a_job_cut_short_by_a_kill_is_no_finished_job(unfinished, command, folders, finished, tmp_path):
    """A killed worker leaves its temporary file, never half a result under the final name."""
    job = next((unfinished / "jobs").glob("final-0*"))
    job.rename(job.with_name(f".{job.name}.12345.tmp"))
    assert command(*tune_arguments(*folders, tmp_path / "run", "--resume")).code == 0
    assert (tmp_path / "run/scores.csv").read_bytes() == (finished.path / "scores.csv").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_ctrl_c_before_anything_is_finished(folders, tmp_path):
    process = start(*tune_arguments(*folders, tmp_path / "run"))
    until = time.monotonic() + 60
    while not (tmp_path / "run.partial").exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "feint: stopped" in err
