"""The command line: what goes to stdout and to stderr, how it ends, and that asking for help is quick."""

import json
import os
import pty
import subprocess
import sys

import pytest
from small_runs import AUGMENTATION, tune_arguments

import feint
from feint import cli
from feint.backends.threads import LIBRARY_VARIABLES
from feint.cli.terminal import TerminalMonitor

HEAVY = {"torch", "pandas", "matplotlib", "scipy", "sklearn"}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False)


def imported(code: str) -> set[str]:
    """Return the modules that are loaded after `code`, whatever it prints and however it exits."""
    found = python("-c", f"import sys\ntry:\n {code}\nexcept SystemExit: pass\nprint('\\n!', *sys.modules)")
    assert found.returncode == 0, found.stderr
    return set(found.stdout.rpartition("!")[2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import feint, feint.cli",
        "sys.argv = ['feint', '--help']; from feint.cli import main; main()",
        "sys.argv = ['feint', 'tune', '--help']; from feint.cli import main; main()",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code):
    assert imported(code) & HEAVY == set()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="on one core nothing can be seen")
@pytest.mark.parametrize(("own", "threads"), [({}, 1), ({"OMP_NUM_THREADS": "2"}, 2)])
def test_torch_takes_the_cores_there_are_or_what_the_user_says(monkeypatch, own, threads):
    for name in LIBRARY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {"FEINT_CORES": "1", **own}.items():
        monkeypatch.setenv(name, value)
    code = (
        "from feint.cli import main\ntry: main()\nexcept SystemExit: pass\nimport torch; print(torch.get_num_threads())"
    )
    assert python("-c", code, "--help").stdout.split()[-1] == str(threads)


def test_the_public_names_are_there():
    assert {"tune", "score", "evaluate", "Run"} <= set(feint.__all__)
    assert all(getattr(feint, name) for name in feint.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = feint.nothing


def test_the_module_is_the_command():
    found = python("-m", "feint", "--help")
    assert (found.returncode, found.stderr) == (0, "")
    assert "\x1b" not in found.stdout
    for verb in ("tune", "score", "evaluate", "doctor", "data"):
        assert verb in found.stdout


def test_json_alone_goes_to_stdout(command, folders, tmp_path):
    outcome = command(*tune_arguments(*folders, tmp_path / "run", "--json"))
    assert outcome.code == 0
    found, record = json.loads(outcome.out), feint.Run(tmp_path / "run").record
    assert found["run"] == str(tmp_path / "run")
    assert found["label_reads"] == 0
    assert found["found"] == record.found.model_dump(mode="json")
    assert found["choice"]["augmentation"] in {"none", AUGMENTATION}
    assert {"settings", "calibration", "phases", "versions", "warnings"} <= set(found)
    said = outcome.err.splitlines()
    estimate = next(i for i, line in enumerate(said) if line.startswith("This will take about"))
    assert estimate < said.index("searching magnitudes ...")
    assert said[-1] == f"Report: {tmp_path / 'run/report.html'}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tune", "a", "b"], "--out"),
        (["tune", "a", "--out", "r"], "UNLABELLED"),
        (["tune", "a", "b", "--out", "r", "--budget", "endless"], "'--budget': 'endless' is not one of 'quick'"),
        (["study", "plan", "nothing", "--root", "a"], "'nothing' is not one of"),
        (["tune", "a", "b", "--out", "r", "--sed", "1"], "--seed"),
        (["tune", "a", "b", "--out", "r", "--seed", "-1"], "--seed"),
        (["tune", "a", "b", "--out", "r", "--false-alarm-rate", "much"], "--false-alarm-rate"),
        (["score", "run", "images"], "--out"),
        (["tun"], "tune"),
    ],
)
def test_misuse_exits_with_2_and_names_the_option(command, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = command(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_bars_in_a_terminal(monkeypatch):
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with TerminalMonitor() as monitor:
            monitor.phase("screening")
            monitor.advance(1, 4)
            monitor.say("a [sentence] between")
            monitor.phase("training")
            monitor.advance(2, 4)
        terminal.flush()
        shown = os.read(reader, 100_000).decode()
    os.close(reader)
    assert "\x1b[" in shown
    assert "a [sentence] between" in shown
    assert "100%" in shown
    assert "training" in shown


def test_a_folder_that_must_not_be_entered_is_told_in_a_sentence(monkeypatch, command):
    def refused() -> None:
        raise PermissionError(13, "Permission denied", "secret/images")

    monkeypatch.setattr(cli, "app", refused)
    outcome = command("score")
    assert outcome.code == 3
    assert outcome.sentence.startswith("secret/images cannot be used: Permission denied.")


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [(("tune", "a", "b"), "with --resume goes on"), (("study", "run"), "the same command goes on"), (("refit",), "")],
)
def test_after_ctrl_c_only_what_can_go_on_is_said_to(monkeypatch, command, arguments, kept):
    def stopped() -> None:
        raise SystemExit(cli.INTERRUPTED)

    monkeypatch.setattr(cli, "app", stopped)
    outcome = command(*arguments)
    assert outcome.code == cli.INTERRUPTED
    assert kept in outcome.sentence
    assert ("goes on" in outcome.sentence) == bool(kept)
