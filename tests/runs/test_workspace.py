"""One process at a time has a workspace, and what it has finished is removed for nobody."""

import os
import signal
import subprocess
import sys

import pytest

from feint.core.errors import OutputError
from feint.runs.workspace import Workspace

HOLDER = """
import sys
from pathlib import Path
from feint.runs.workspace import Workspace

space = Workspace(Path(sys.argv[1])).open(resume=False)
space.claim({"seed": 0})
(space.jobs / "done.safetensors").write_text("finished")
print("held", flush=True)
sys.stdin.read()
space.result.mkdir()
space.finish()
space.close()
"""


@pytest.fixture
def out(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def holder(out):
    """Return another process that has the workspace, until its input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, out], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("resume", [False, True])
def test_a_place_in_use_is_refused_and_not_harmed(out, holder, resume):
    for _ in range(2):
        with pytest.raises(OutputError, match="is being written by another process: wait until it ends"):
            Workspace(out).open(resume=resume)
    holder.communicate(timeout=60)
    assert holder.returncode == 0
    assert [path.name for path in out.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("words", [("refit", "RUN", "MARKS"), ("tune", "N", "U", "--resume"), ("pretrain", "U")])
def test_every_command_refuses_a_place_in_use(out, holder, command, finished, folders, tmp_path, words):
    marks = tmp_path / "marks.csv"
    marks.write_text("path,label\n" + "".join(f"{i:03d}.png,{i % 2}\n" for i in range(12)))
    known = {"RUN": finished.path, "MARKS": marks, "N": folders[0], "U": folders[1]}
    outcome = command(*(known.get(word, word) for word in words), "--out", out)
    assert (outcome.code, "is being written by another process" in outcome.sentence) == (4, True), outcome.err
    assert (tmp_path / "run.partial/jobs/done.safetensors").read_text() == "finished"


def test_a_killed_process_blocks_nobody_and_its_work_is_kept(out, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate(timeout=60)
    with pytest.raises(OutputError, match=r"--resume, delete it, or choose another name with --out"):
        Workspace(out).open(resume=False)
    space = Workspace(out).open(resume=True)
    with pytest.raises(OutputError, match=r"other settings or images \(seed\)"):
        space.claim({"seed": 1})
    space.discard()
    space.claim({"seed": 0})
    assert (space.jobs / "done.safetensors").read_text() == "finished"
    space.close()


def test_a_place_is_free_again_once_it_is_closed(out):
    first = Workspace(out).open(resume=False)
    with pytest.raises(OutputError, match="another process"):
        Workspace(out).open(resume=True)
    first.close()
    Workspace(out).open(resume=False).close()


def test_what_holds_no_finished_job_is_begun_afresh(out):
    space = Workspace(out).open(resume=False)
    space.claim({"seed": 0})
    (space.jobs / ".half.safetensors.1-2.tmp").write_text("half")
    (space.logs / "half.jsonl").write_text("half")
    space.close()
    space = Workspace(out).open(resume=False)
    assert [*space.jobs.iterdir(), *space.logs.iterdir()] == []
    space.claim({"seed": 1})
    space.discard()
    space.close()
    assert list(out.parent.iterdir()) == []


def test_jobs_of_nobody_knows_what_are_not_taken_up(out):
    """A refit that was killed leaves some: it says not what it computed, as it cannot be gone on with."""
    space = Workspace(out).open(resume=False)
    (space.jobs / "final-0.safetensors").write_text("of a refit")
    space.close()
    space = Workspace(out).open(resume=True)
    space.claim({"seed": 0})
    assert list(space.jobs.iterdir()) == []
    space.close()
