"""The page shows what the run says, keeps its lists still while people mark, and lets nobody else in."""

import csv
import io
import re
import shutil
import zlib
from pathlib import Path

import httpx
import numpy as np
import pytest
import small_runs
from PIL import Image
from small_reviews import reviewing
from starlette.datastructures import URL
from starlette.requests import HTTPConnection

import feint
from feint.app.review.pictures import Kept, Picture

ROW = re.compile(r'data-row="(\d+)" data-level')


@pytest.fixture(scope="module")
def copied(finished, tmp_path_factory):
    """Return a copy of the finished run with the folder it was tuned on, which these tests review."""
    return shutil.copytree(finished.path, tmp_path_factory.mktemp("reviewed") / "run")


@pytest.fixture(scope="module")
def page(copied):
    with reviewing(copied) as found:
        yield found


def rows(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [int(row) for row in ROW.findall(answer.text)]


def test_images_come_in_the_order_of_p_value_then_score(page, copied):
    table = feint.Run(copied).scores
    shown = rows(page.client.get("/"))
    expected = np.lexsort((-table.score.to_numpy(), table.p_value.to_numpy()))
    assert shown == expected.tolist()
    text = page.client.get("/").text
    assert text.count("is-flagged") == table.flagged.sum()
    assert feint.Run(copied).record.found.sentence in text


@pytest.mark.parametrize("sort", ["anomalous", "ordinary", "threshold", "path"])
def test_each_order_shows_every_image_once(page, sort):
    assert sorted(rows(page.client.get("/list", params={"sort": sort}))) == list(range(60))


def test_filters_and_search(page, copied):
    table = feint.Run(copied).scores
    assert len(rows(page.client.get("/list?show=flagged"))) == table.flagged.sum()
    assert len(rows(page.client.get("/list?show=flagged&level=22"))) == (table.p_value < 0.99).sum()
    assert rows(page.client.get("/list", params={"find": "01"})) == [
        row for row in rows(page.client.get("/")) if "01" in table.path[row]
    ]
    nothing = page.client.get("/list", params={"find": '"><script>alert(1)</script>'})
    assert "<script>" not in nothing.text
    assert "Nothing here" in nothing.text
    assert page.client.get("/list?show=nonsense").status_code == 422
    assert page.client.get("/list?find=" + "x" * 1001).status_code == 422


def test_marking_moves_nothing_that_is_shown(page):
    listed = page.client.get("/list?show=unmarked")
    query = re.search(r"/zoom\?([^\"]*?)&amp;at=0", listed.text)[1].replace("&amp;", "&")
    before = rows(page.client.get(f"/chunk?{query}&first=10"))
    for row in rows(listed)[:5]:
        assert page.client.post(f"/marks/{row}?label=normal").status_code == 200
    assert rows(page.client.get(f"/chunk?{query}&first=10")) == before
    assert len(rows(page.client.get("/list?show=unmarked"))) == 55
    assert rows(page.client.get("/list?show=normal")) == rows(listed)[:5]
    for _ in range(5):
        page.client.post("/undo")
    assert len(rows(page.client.get("/list?show=unmarked"))) == 60
    assert "nothing to undo" in page.client.post("/undo").text


def test_marks_are_exported_by_the_paths_of_scores_csv(page, copied):
    table = feint.Run(copied).scores
    page.client.post("/marks/3?label=anomalous")
    page.client.post("/marks/4?label=normal")
    page.client.post("/marks/5?label=normal")
    page.client.post("/marks/5?label=none")
    found = list(csv.reader(io.StringIO(page.client.get("/marks.csv").text)))
    assert found[0] == ["path", "label"]
    assert dict(found[1:]) == {table.path[3]: "1", table.path[4]: "0"}
    for _ in range(4):
        page.client.post("/undo")


def test_pictures_and_maps(page, copied):
    series = re.search(r"/images/([^/]+)/0/thumb", page.client.get("/").text)[1]
    for kind, size in (("thumb", (32, 32)), ("large", (32, 32)), ("map", (320, 320))):
        answer = page.client.get(f"/images/{series}/0/{kind}")
        assert (answer.status_code, Image.open(io.BytesIO(answer.content)).size) == (200, size)
    over = np.asarray(Image.open(io.BytesIO(page.client.get(f"/images/{series}/0/map").content)).convert("RGBA"))
    assert over[..., 3].max() > 100
    assert over[..., 3].min() < 30
    for wrong in ("60/thumb", "-1/thumb", "0/other", "x/thumb"):
        assert page.client.get(f"/images/{series}/{wrong}").status_code in {404, 422}
    for elsewhere in ("../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fpages.py", "review.js/.."):
        assert page.client.get(f"/static/{elsewhere}").status_code == 404


def test_every_answer_forbids_what_the_page_does_not_need(page):
    for path in ("/", "/nowhere", "/static/review.js", "/images/x/0/thumb", "/refit"):
        headers = page.client.get(path).headers
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
    assert not re.search(r"<script(?! src)|\son\w+=|\sstyle=|https?://", page.client.get("/").text)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}, {"x-feint-key": "guess"},
        {"x-feint-key": ""}, {"origin": "http://localhost:9"}, {"host": "127.0.0.1.evil.example"},
    ],
)  # fmt: skip
def test_other_sites_change_nothing(page, headers):
    before = page.desk.marks.moment
    assert page.client.post("/marks/0?label=normal", headers=headers).status_code == 403
    assert page.client.post("/undo", headers=headers).status_code == 403
    assert page.client.post("/refit", headers=headers).status_code == 403
    assert page.desk.marks.moment == before
    if "host" in headers:
        assert page.client.get("/", headers=headers).status_code == 403


def cookie_of(client: httpx.Client) -> str:
    return f"feint-review-{client.base_url.port}"


def test_a_token_lets_in_and_nothing_else_does(copied, tmp_path):
    run = shutil.copytree(copied, tmp_path / "run")
    with reviewing(run, token="open-sesame") as found, httpx.Client(base_url=found.address) as client:
        refused = client.get("/")
        assert refused.status_code == 401
        assert "000.png" not in refused.text
        assert found.desk.key not in refused.text
        assert client.get("/static/review.css").status_code == 200
        assert client.get("/", headers={"authorization": "Bearer open-sesame"}).status_code == 200
        assert client.post("/enter", data={"token": "guess"}).status_code == 401
        assert client.post("/enter", content=b"x" * 5000).status_code == 413
        assert client.get("/", headers={"cookie": f"{cookie_of(client)}=open-sesame"}).status_code == 401
        entered = client.post("/enter", data={"token": "open-sesame"})
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert {"httponly", "samesite=strict"} <= set(entered.headers["set-cookie"].lower().split("; "))
        assert client.get("/", headers={"host": "line-pc:8100"}).status_code == 200
        assert client.post("/undo").status_code == 403
        assert client.post("/undo", headers={"x-feint-key": found.desk.key}).status_code == 200


def test_a_host_that_reads_like_a_path_opens_nothing(copied, tmp_path, monkeypatch):
    run = shutil.copytree(copied, tmp_path / "run")
    with reviewing(run, token="open-sesame") as found, httpx.Client(base_url=found.address) as client:
        address = property(lambda asked: URL(f"http://{asked.headers['host']}{asked.scope['path']}"))
        monkeypatch.setattr(HTTPConnection, "url", address)  # as older versions of starlette put it together
        assert client.get("/marks.csv", headers={"host": "x/static/"}).status_code == 401
        assert client.get("/static/review.css", headers={"host": "x"}).status_code == 200


def test_two_pages_on_one_host_keep_their_visitors_apart(copied, tmp_path):
    runs = [shutil.copytree(copied, tmp_path / name) for name in "ab"]
    with (
        reviewing(runs[0], token="first") as one,
        reviewing(runs[1], token="second") as other,
        httpx.Client() as browser,
    ):
        for page, token in ((one, "first"), (other, "second")):
            browser.post(f"{page.address}/enter", data={"token": token})
        assert [browser.get(page.address).status_code for page in (one, other)] == [200, 200]
        assert len(browser.cookies) == 2


NASTY = [
    '"><img src=x onerror=alert(1)>.png', "</script><script>alert(1).png", "a&b=c;d?e#f%2e.png", "{{ 7 * 7 }}.png",
    "'onclick=alert(1) x='.png", "sub folder/a  b.png", "übung.png",
]  # fmt: skip


def test_names_and_broken_files_are_shown_as_what_they_are(copied, tmp_path):
    folder = tmp_path / "images"
    small_runs.write(folder, {f"{i}.png": small_runs.picture(i) for i in range(3)})
    for i, name in enumerate(NASTY):
        path = folder / name.replace("</", "<_")
        path.parent.mkdir(exist_ok=True)
        shutil.copy(folder / f"{i % 3}.png", path)
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("<svg onload=alert(1)>")
    header = bytearray(whole)
    header[16:24] = 2 * (60000).to_bytes(4)
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4)
    (folder / "bomb.png").write_bytes(bytes(header))
    with reviewing(shutil.copytree(copied, tmp_path / "run"), images=folder) as found:
        text = found.client.get("/").text
        assert len(rows(found.client.get("/"))) == 3 + len(NASTY) + 4
        assert not re.search(r"<img src=x|<script>|<svg onload|\sonclick=", text)
        assert "49.png" not in text
        unread = found.client.get("/list?show=unread").text
        assert len(ROW.findall(unread)) == 4
        for reason in ("damaged", "empty file", "not a PNG", "megapixels"):
            assert reason in unread
        row = ROW.search(unread)[1]
        assert found.client.post(f"/marks/{row}?label=normal").status_code == 404
        assert found.client.get(f"/images/x/{row}/thumb").status_code == 422
        assert "run’s own unlabelled images" in found.client.get("/refit").text


def test_files_that_are_gone_or_newer_are_told_of(finished, tmp_path):
    pool = shutil.copytree(finished.unlabelled, tmp_path / "pool")
    run = feint.Run(shutil.copytree(finished.path, tmp_path / "run"))
    data = run.record.data
    moved = run.record.model_copy(
        update={
            "data": data.model_copy(update={"unlabelled": data.unlabelled.model_copy(update={"source": str(pool)})})
        }
    )
    (run.path / "run.json").write_text(moved.model_dump_json())
    (pool / "000.png").unlink()
    (pool / "001.png").write_bytes(b"no image any more")
    with reviewing(run.path) as found:
        text = found.client.get("/").text
        assert "1 of 60 images can no longer be found" in text
        assert "e.g. 001.png: score and p-value are of what the file held before" in text
        assert "this file can no longer be found" in text
        names = list(found.desk.subject.names)
        assert found.client.get(f"/images/x/{names.index('000.png')}/thumb").status_code == 422
        answer = found.client.get(f"/images/x/{names.index('001.png')}/map")
        assert (answer.status_code, answer.text) == (422, "not a PNG, JPEG, BMP, TIFF or WebP image")
    shutil.rmtree(pool)
    with reviewing(run.path) as found:
        assert "60 of 60 images can no longer be found" in found.client.get("/").text


def test_ten_thousand_images_are_served_by_the_page(copied, tmp_path):
    import pandas as pd

    run = Path(shutil.copytree(copied, tmp_path / "run"))
    chance = np.random.default_rng(0)
    scores = np.sort(chance.normal(0, 1, 10_000))[::-1]
    p = np.linspace(1 / 23, 1, 10_000)
    table = pd.DataFrame({"path": [f"{i:05d}.png" for i in range(10_000)], "score": scores, "p_value": p, "flagged": 0})
    table.to_csv(run / "scores.csv", index=False)
    with reviewing(run) as found:
        first = found.client.get("/")
        assert len(first.content) < 250_000
        chunks = re.findall(r'hx-get="(/chunk[^"]*)"', first.text)
        assert len(chunks) == 166
        seen = rows(first)
        for chunk in chunks:
            seen += rows(found.client.get(chunk.replace("&amp;", "&")))
        assert sorted(seen) == list(range(10_000))


def test_pictures_are_kept_within_their_bytes():
    kept = Kept(1000)
    for row in range(50):
        kept.put((row, "thumb"), Picture(b"x" * 100, "image/png"))
        kept.get((0, "thumb"))
    assert [row for row in range(50) if kept.get((row, "thumb"))] == [0, *range(41, 50)]
