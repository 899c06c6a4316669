"""A refit goes on whatever happens to the page, and its end is shown: old and new, failed, or cancelled."""

import os
import shutil
import time

import pytest
from small_reviews import played, reviewing

import feint
from feint.app.review.refits import Refits

CSV = "path,label\na.png,1\n"


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
        assert "hx-trigger" in found.client.get("/refit/state").text
        ended(found.desk.refits)
        text = found.client.get("/refit").text
    table = feint.Run(copied).scores
    assert "The new detector learned from what was marked." in text
    assert "0.700 to 1.000" in text
    assert f"of {len(table)}" in text
    flagged = int(table.flagged.sum())
    assert f'No longer flagged <span class="muted">{flagged}</span>' in text
    assert f'Flagged now <span class="muted">{60 - flagged}</span>' in text
    assert "learned from" in text
    assert f"feint review {copied}-refit-" in text


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
        assert "was cancelled" in found.client.post("/refit/cancel").text


def test_too_few_marks_and_a_damaged_result_are_said(copied):
    with reviewing(copied) as found:
        assert "At least 3 anomalous ones are needed" in found.client.get("/refit").text
        found.client.post("/refit")
        out = ended(found.desk.refits).ticket.out
        (out / "refit.json").write_text("{")
        assert "refit.json was cut short or changed" in found.client.get("/refit").text
