"""A refit goes on whatever happens to the page, and its end is shown: old and new, failed, or cancelled."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from small_reviews import played, reviewing

import feint
from feint.app.review.refits import Refits, Ticket
from feint.core.errors import OutputError

CSV = "path,label\na.png,1\n"
KILLED = """
import os, sys
from pathlib import Path
from feint.app.review import refits
refits.write_text = lambda path, text: os.kill(os.getpid(), 9) if path.suffix == ".json" else path.write_text(text)
folder = Path(sys.argv[1])
command = lambda run, marks, out: [sys.executable, "-c", f"open({str(folder / 'begun')!r}, 'w')"]
refits.Refits(folder / "run", folder, command=command).start("path,label\\n")
"""


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished.path, tmp_path / "run")


@pytest.fixture
def begin(tmp_path):
    """Return a function that begins a refit played by a script; what is still running is ended."""
    started = []

    def start(*words: str, run="run") -> Refits:
        started.append(Refits(tmp_path / run, tmp_path, command=played(*words)))
        return started[-1]

    yield start
    for each in started:
        each.cancel()


def ended(refits, *, within=60):
    until = time.monotonic() + within
    while (found := refits.last()).state == "running":
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def test_it_is_known_to_a_program_that_starts_later(begin, tmp_path):
    refits = begin("slow")
    ticket = refits.start(CSV).ticket
    while "marks ..." not in refits.last().line:
        time.sleep(0.02)
    later = begin("slow")
    assert later.last().state == "running"
    assert later.last().line == "learning from the marks ..."
    assert later.start(CSV).ticket == ticket
    later.cancel()
    assert refits.last().state == later.last().state == "cancelled"
    refits._process.wait()
    with pytest.raises(ProcessLookupError):
        os.kill(ticket.pid, 0)
    assert later.last().ticket.marks == 1


def test_its_failure_is_told_in_its_own_words(begin):
    refits = begin("fails")
    refits.start(CSV)
    found = ended(refits)
    assert (found.state, found.line) == ("failed", "feint: the images <b>have changed</b>: tune again.")
    assert begin().last().state == "failed"


def test_a_killed_one_has_failed(begin):
    refits = begin("slow")
    os.kill(refits.start(CSV).ticket.pid, 9)
    assert ended(refits).state == "failed"


def at_once(*calls):
    """Call all of them in threads that begin together; return what they return."""
    together = threading.Barrier(len(calls))
    with ThreadPoolExecutor(len(calls)) as pool:
        return [
            each.result() for each in [pool.submit(lambda call=call: (together.wait(), call())[1]) for call in calls]
        ]


def test_one_is_begun_however_many_ask_at_once(begin, tmp_path):
    refits = begin("slow")
    tables = [CSV, CSV + "b.png,1\n", CSV + "c.png,0\nd.png,1\n"]
    began = time.monotonic()
    tickets = [each.ticket for each in at_once(*[lambda table=table: refits.start(table) for table in tables])]
    assert time.monotonic() - began < 60
    assert tickets == [tickets[0]] * 3
    assert sorted(each.name for each in tmp_path.glob("refit-*")) == ["refit-1.csv", "refit-1.json", "refit-1.log"]
    assert (tmp_path / "refit-1.csv").read_text().count("\n") - 1 == tickets[0].marks


def test_its_end_may_be_noticed_by_many_at_once(begin, tmp_path):
    refits = begin()
    for number in range(1, 40):
        (tmp_path / f"refit-{number}.log").touch()
        refits._keep(Ticket(number=number, out=tmp_path / "none", marks=1, began=time.time(), pid=1))
        found = at_once(*[refits.last] * 4)
        assert found == [found[0]] * 4
        assert Refits(tmp_path / "run", tmp_path).last() == found[0]


def test_none_begins_without_a_ticket(begin, tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    with (tmp_path / "refit-1.log").open() as log:
        fcntl.flock(log, fcntl.LOCK_EX)  # whatever was begun has ended
    assert not (tmp_path / "begun").exists()
    assert begin("fails").last() is None
    assert begin("fails").start(CSV).ticket.number == 1


def test_a_log_that_is_held_is_told_of_at_once_and_left_alone(copied, tmp_path):
    folder = tmp_path / "run.review"
    folder.mkdir()
    with reviewing(copied) as found, (folder / "refit-1.log").open("w") as log:
        log.write("learning ...")
        log.flush()
        fcntl.flock(log, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="begun without this page holds"):
            found.desk.refits.start(CSV)
        answer = found.client.post("/refit")
        assert (answer.status_code, answer.headers["hx-retarget"]) == (200, "#refit")
        assert "begun without this page holds" in answer.text
        assert (folder / "refit-1.log").read_text() == "learning ..."
        assert not (folder / "refit-1.csv").exists()
        assert not (folder / "refit-1.json").exists()


@pytest.mark.parametrize("damage", [b"", b"{", b'{"number": 1}', b"\xff\xfe", b"{}}"])
def test_a_damaged_ticket_is_a_refit_that_failed(copied, damage):
    with reviewing(copied) as found:
        found.client.post("/refit")
        ended(found.desk.refits)
        (copied.parent / "run.review" / "refit-1.json").write_bytes(damage)
        assert found.desk.refits.last().state == "failed"
        for path in ("/", "/tally", "/refit"):
            assert found.client.get(path).status_code == 200
        assert found.client.post("/marks/1?label=normal").status_code == 200
        assert "refit-1.json was cut short or changed" in found.client.get("/refit").text
        found.client.post("/refit")
        assert ended(found.desk.refits).ticket.number == 2


def test_results_never_share_a_place(begin, copied):
    refits = begin()
    names = []
    for _ in range(2):
        refits.start(CSV)
        found = ended(refits)
        assert found.state == "done", found.line
        names.append(found.ticket.out.name)
    assert names == ["run-refit-1", "run-refit-2"]
    assert refits.last().ticket.number == 2


def test_old_and_new_stand_side_by_side(copied):
    with reviewing(copied) as found:
        begun = found.client.post("/refit")
        assert begun.headers["hx-redirect"] == "/refit"
        found.desk.refits.cancel()
        for row in range(3):
            found.client.post(f"/marks/{row}?label=anomalous")
        found.client.post("/refit")
        ended(found.desk.refits)
        text = found.client.get("/refit").text
    table = feint.Run(copied).scores
    assert "The new detector learned from what was marked." in text
    assert "0.700 to 1.000" in text
    assert f"of {len(table) - 3} that the new one has not learned from" in text
    flagged = int(table.flagged.sum())
    assert f'No longer flagged <span class="muted">{flagged}</span>' in text
    assert f'Flagged now <span class="muted">{60 - flagged}</span>' in text
    assert "learned from" in text
    assert f"feint review {copied}-refit-" in text


def test_a_place_that_was_freed_is_not_shown_with_what_lay_there_before(copied):
    with reviewing(copied) as found:
        for marked in (3, 5):
            for row in range(marked):
                found.client.post(f"/marks/{row}?label=anomalous")
            found.client.post("/refit")
            out = ended(found.desk.refits).ticket.out
            assert f"{marked} marked images were learned from" in found.client.get("/refit").text
            assert out.name == "run-refit-1"
            shutil.rmtree(out)


def test_the_page_tells_of_failure_and_cancelling_and_escapes_both(copied):
    with reviewing(copied, command=played("fails")) as found:
        found.client.post("/refit")
        ended(found.desk.refits)
        text = found.client.get("/refit").text
        assert "the images &lt;b&gt;have changed&lt;/b&gt;: tune again." in text
        assert "<b>have" not in text
    with reviewing(copied, command=played("slow")) as found:
        found.client.post("/refit")
        assert "Refitting" in found.client.get("/").text
        assert "hx-trigger" in found.client.get("/refit/state").text
        assert "was cancelled" in found.client.post("/refit/cancel").text


def test_too_few_marks_and_a_damaged_result_are_said(copied):
    with reviewing(copied) as found:
        assert "At least 3 anomalous ones are needed" in found.client.get("/refit").text
        found.client.post("/refit")
        out = ended(found.desk.refits).ticket.out
        (out / "refit.json").write_text("{")
        assert "refit.json was cut short or changed" in found.client.get("/refit").text
