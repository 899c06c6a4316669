"""Images and tables on a web server, and one that fails in between."""

import functools
import http.server
import threading

import pandas as pd
import pytest
from small_bulk import MeanJudge, job, table, write_images, write_model

from feint.core.errors import InputError
from feint.data import remote
from feint.runs import bulk_pieces
from feint.runs.bulk import run_bulk

pytest.importorskip("aiohttp")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; `broken` are the ends of paths that it answers with 503, so many times each."""

    broken: dict[str, int]

    def do_GET(self):
        for end, times in self.broken.items():
            if self.path.endswith(end) and times:
                self.broken[end] -= 1
                self.send_error(503)
                return
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Return the URL of a server of 33 images, and what it answers with an error."""
    monkeypatch.setattr(remote, "PAUSES", (0.01, 0.01))
    write_images(tmp_path / "images", 33)
    handler = type("Serving", (Handler,), {"broken": {}})
    opened = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=tmp_path))
    threading.Thread(target=opened.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{opened.server_address[1]}", handler.broken
    opened.shutdown()
    opened.server_close()


@pytest.fixture
def expected(tmp_path):
    job(write_model(tmp_path / "model"), tmp_path / "images", tmp_path / "folder.parquet")
    return table(tmp_path / "folder.parquet")


@pytest.mark.parametrize("backend", ["serial", "processes"])
def test_a_folder(server, expected, tmp_path, backend):
    job(tmp_path / "model", f"{server[0]}/images", tmp_path / "out.parquet", backend=backend)
    assert table(tmp_path / "out.parquet").equals(expected)


def test_a_manifest_and_parquet(server, expected, tmp_path):
    pd.DataFrame({"image_path": expected.path}).to_csv(tmp_path / "images/m.csv", index=False)
    job(tmp_path / "model", f"{server[0]}/images/m.csv", tmp_path / "out.parquet")
    assert table(tmp_path / "out.parquet").equals(expected)
    contents = [(tmp_path / "images" / each).read_bytes() for each in expected.path]
    pd.DataFrame({"bytes": contents}).to_parquet(tmp_path / "p.parquet")
    job(tmp_path / "model", f"{server[0]}/p.parquet", tmp_path / "bytes.parquet")
    assert table(tmp_path / "bytes.parquet").drop(columns="path").equals(expected.drop(columns="path"))


def test_a_failure_that_passes_is_no_failure(server, expected, tmp_path):
    server[1]["0003.png"] = 2
    job(tmp_path / "model", f"{server[0]}/images", tmp_path / "out.parquet")
    assert table(tmp_path / "out.parquet").equals(expected)


def test_one_that_stays_is_recorded(server, expected, tmp_path):
    server[1]["0003.png"] = 99
    (tmp_path / "images/m.csv").write_text("image_path\n" + "\n".join([*expected.path, "absent.png"]))
    assert job(tmp_path / "model", f"{server[0]}/images/m.csv", tmp_path / "out.parquet").unreadable == 2
    reasons = table(tmp_path / "out.parquet").reason
    assert reasons[3].startswith("cannot be fetched: 503")
    assert reasons[33] == "is not there"


def test_a_connection_that_is_lost_ends_the_job_which_goes_on(server, expected, tmp_path):
    server[1][".png"] = 10_000
    with pytest.raises(
        InputError, match=r"10 images in succession could not be fetched, the last because 00/0009\.png"
    ):
        job(tmp_path / "model", f"{server[0]}/images", tmp_path / "out.parquet")
    server[1].clear()
    job(tmp_path / "model", f"{server[0]}/images", tmp_path / "out.parquet")
    assert table(tmp_path / "out.parquet").equals(expected)


@pytest.mark.parametrize("piece", [256, 12])
def test_ten_in_succession_are_a_lost_connection_nine_are_not(server, expected, tmp_path, monkeypatch, piece):
    monkeypatch.setattr(bulk_pieces, "PIECE", piece)
    model, source = tmp_path / "model", f"{server[0]}/images"
    server[1].update({f"{i:04d}.png": 99 for i in range(13, 23)})
    with pytest.raises(InputError, match=r"10 images in succession .* the last because 00/0022\.png cannot be fetched"):
        run_bulk(MeanJudge, model, source, out=tmp_path / "out.parquet", backend="serial")
    del server[1]["0017.png"]
    run_bulk(MeanJudge, model, source, out=tmp_path / "out.parquet", backend="serial")
    found = table(tmp_path / "out.parquet")
    lost = [i for i in range(33) if 13 <= i < 23 and i != 17]
    assert found.index[found.reason.notna()].tolist() == lost
    assert found.drop(index=lost).score.equals(expected.drop(index=lost).score)


def test_no_folder(server, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        job(write_model(tmp_path / "model"), f"{server[0]}/absent", tmp_path / "out.parquet")
