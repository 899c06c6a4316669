import hashlib
import http.server
import io
import resource
import signal
import tarfile
import threading
import urllib.request

import numpy as np
import pytest

from feint.core.errors import InputError, IntegrityError, OutputError
from feint.data import fetching
from feint.data.fetching import fetch
from feint.data.public_sets import DATASETS, Dataset, Download


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`; understands ranges unless told otherwise, and cuts what it sends as told."""

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        body = server.files.get(self.path.rpartition("/")[2])
        if body is None:
            self.send_error(404)
            return
        start = 0
        if server.ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start + server.shift}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:][: server.cuts.pop(0) if server.cuts else None])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    """Serve files on a local port, without a pause between tries."""
    monkeypatch.setattr(fetching, "PAUSE", 0.0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as opened:
        opened.files, opened.asked, opened.cuts, opened.ranges, opened.shift = {}, [], [], True, 0
        opened.base = f"http://127.0.0.1:{opened.server_port}"
        thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


def random_bytes(count, seed=0):
    return np.random.default_rng(seed).bytes(count)


def archive(*members):
    """Return a .tar.gz of pairs: a name, and content in bytes or a type as a number."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as opened:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                opened.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = bytes([content]), "/etc/passwd"
                opened.addfile(info)
    return file.getvalue()


@pytest.fixture
def offer(server):
    """Return a maker of data sets of the files that the server has."""

    def make(files, *, unpacked=0, also=()):
        server.files |= files
        downloads = tuple(
            Download(
                addresses=(f"{server.base}/{name}", *(f"{each}/{name}" for each in also)),
                size=len(body),
                sha256=hashlib.sha256(body).hexdigest(),
                unpacked=unpacked,
            )
            for name, body in files.items()
        )
        return Dataset(name="tiny", title="Tiny", licence="none", page=server.base, downloads=downloads)

    return make


def names(folder):
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())


def test_plain_files(offer, server, tmp_path):
    files = {"a.gz": random_bytes(600_000), "b.gz": random_bytes(20_000, 1)}
    told = []
    folder = fetch(offer(files), tmp_path / "new", progress=lambda done, total: told.append((done, total)))
    assert folder == tmp_path / "new/tiny"
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == files
    assert names(tmp_path) == ["new/tiny/a.gz", "new/tiny/b.gz"]
    assert told == sorted(told)
    assert told[-1] == (620_000, 620_000)
    assert len(told) > 3


def test_what_is_there_is_left_alone(offer, server, tmp_path):
    dataset = offer({"a.gz": b"x" * 100})
    (fetch(dataset, tmp_path) / "mine.txt").write_text("kept")
    (tmp_path / ".tiny.partial").mkdir()
    fetch(dataset, tmp_path)
    assert len(server.asked) == 1
    assert names(tmp_path) == ["tiny/a.gz", "tiny/mine.txt"]
    assert not (tmp_path / ".tiny.partial").exists()


def test_an_archive_loses_its_one_folder(offer, tmp_path):
    body = archive(("cifar", tarfile.DIRTYPE[0]), ("cifar/train.bin", b"1" * 5000), ("cifar/deep/names.txt", b"a\nb"))
    folder = fetch(offer({"tiny.tar.gz": body}, unpacked=6000), tmp_path)
    assert names(folder) == ["deep/names.txt", "train.bin"]
    assert (folder / "deep/names.txt").read_bytes() == b"a\nb"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_is_taken_up_again(offer, server, tmp_path, ranges):
    body = random_bytes(900_000)
    server.cuts, server.ranges = [300_000, 500_000], ranges
    folder = fetch(offer({"a.gz": body}), tmp_path)
    assert (folder / "a.gz").read_bytes() == body
    assert [asked for _, asked in server.asked] == [
        None,
        "bytes=300000-",
        "bytes=800000-" if ranges else "bytes=500000-",
    ]


def test_another_process_goes_on(offer, server, tmp_path):
    files = {"a.gz": random_bytes(10_000), "b.gz": random_bytes(10_000, 1)}
    dataset = offer(files)
    server.cuts = [10_000, 4_000, 0, 0, 0, 0]
    with pytest.raises(InputError, match="b.gz cannot be fetched .*the 4,000 of 10,000 bytes that came are kept"):
        fetch(dataset, tmp_path)
    assert not (tmp_path / "tiny").exists()
    server.asked.clear()
    folder = fetch(dataset, tmp_path)
    assert server.asked == [("/b.gz", "bytes=4000-")]
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == files


def test_a_wrong_checksum_deletes_the_file(offer, server, tmp_path):
    body = random_bytes(5_000)
    dataset = offer({"a.gz": body})
    server.files["a.gz"] = body[:-1] + bytes([body[-1] ^ 1])
    with pytest.raises(IntegrityError, match=r"a\.gz has the sha256 .*, so it is deleted"):
        fetch(dataset, tmp_path)
    assert names(tmp_path) == []
    server.files["a.gz"] = body
    assert (fetch(dataset, tmp_path) / "a.gz").read_bytes() == body


def test_another_range_than_was_asked_for(offer, server, tmp_path):
    dataset = offer({"a.gz": random_bytes(10_000)})
    server.cuts, server.shift = [4_000], 7
    with pytest.raises(InputError, match="it sent another range than was asked for.*the 4,000 of 10,000 bytes"):
        fetch(dataset, tmp_path)
    server.shift = 0
    assert (fetch(dataset, tmp_path) / "a.gz").stat().st_size == 10_000


@pytest.mark.parametrize("beginning", [b"other" * 400, b"longer" * 2000])
def test_a_beginning_that_belongs_to_another_file(offer, tmp_path, beginning):
    """What an older release left behind is told by the checksum, and the next try is clean."""
    body = random_bytes(5_000)
    dataset = offer({"a.gz": body})
    (tmp_path / ".tiny.partial").mkdir()
    (tmp_path / ".tiny.partial/a.gz.part").write_bytes(beginning)
    with pytest.raises(IntegrityError, match="so it is deleted"):
        fetch(dataset, tmp_path)
    assert (fetch(dataset, tmp_path) / "a.gz").read_bytes() == body


def test_too_long_or_too_short_files_are_refused(offer, server, tmp_path):
    dataset = offer({"a.gz": b"x" * 100})
    server.files["a.gz"] = b"x" * 101
    with pytest.raises(InputError, match="it sends more than 100 bytes"):
        fetch(dataset, tmp_path)
    server.files["a.gz"] = b"x" * 90
    with pytest.raises(InputError, match="cut after 90 of 100 bytes|HTTP 416"):
        fetch(dataset, tmp_path)
    assert not (tmp_path / "tiny").exists()


def test_the_second_address(offer, server, tmp_path):
    dataset = offer({"a.gz": b"x" * 100}, also=(f"{server.base}/mirror",))
    only = Download(
        addresses=("http://127.0.0.1:9/a.gz", f"{server.base}/missing/b.gz", *dataset.downloads[0].addresses[1:]),
        size=100,
        sha256=dataset.downloads[0].sha256,
    )
    folder = fetch(Dataset(name="tiny", title="T", licence="", page="", downloads=(only,)), tmp_path)
    assert (folder / "a.gz").read_bytes() == b"x" * 100
    assert [path for path, _ in server.asked] == ["/missing/b.gz", "/mirror/a.gz"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [("http://127.0.0.1:9/a", "refused"), ("{}/absent", "HTTP 404"), ("file:///etc/passwd", "only http and https")],
)
def test_no_address_answers(server, tmp_path, address, reason):
    file = Download(addresses=(address.format(server.base),), size=10, sha256="0")
    with pytest.raises(InputError, match=rf"cannot be fetched \(.*{reason}.*Check the connection"):
        fetch(Dataset(name="tiny", title="T", licence="", page="", downloads=(file,)), tmp_path)
    assert len(server.asked) <= 1


@pytest.mark.parametrize(
    "member",
    [
        ("../evil", b"x"),
        ("top/../../evil", b"x"),
        ("/evil", b"x"),
        ("top/C:evil", b"x"),
        ("top\\..\\evil", b"x"),
        ("top/link", tarfile.SYMTYPE[0]),
        ("top/link", tarfile.LNKTYPE[0]),
        ("top/pipe", tarfile.FIFOTYPE[0]),
    ],
)
def test_archives_that_would_leave_their_folder(offer, tmp_path, member):
    root = tmp_path / "deep/down/root"
    with pytest.raises(IntegrityError, match="it is not used"):
        fetch(offer({"a.tar.gz": archive(("top/good", b"1"), member)}, unpacked=100), root)
    assert not (root / "tiny").exists()
    assert not [each for each in tmp_path.rglob("*") if "evil" in each.name or each.is_symlink() or each.is_fifo()]


def test_archives_that_are_none_or_too_large(offer, tmp_path):
    with pytest.raises(IntegrityError, match="no readable"):
        fetch(offer({"a.tar.gz": b"no archive"}, unpacked=100), tmp_path / "a")
    whole = archive(("top/a", random_bytes(5000)))
    with pytest.raises(IntegrityError, match="no readable"):
        fetch(offer({"b.tar.gz": whole[:-2000]}, unpacked=9000), tmp_path / "b")
    with pytest.raises(IntegrityError, match="more than 4,999 bytes"):
        fetch(offer({"c.tar.gz": whole}, unpacked=4999), tmp_path / "c")


def test_no_room(offer, tmp_path):
    with pytest.raises(OutputError, match=r"needs 1,000,000,000 MB more in .* MB are free\. Free some space"):
        fetch(offer({"a.tar.gz": b"x"}, unpacked=10**15), tmp_path)


def test_a_disk_that_fills_up(offer, server, tmp_path):
    body = random_bytes(900_000)
    dataset = offer({"a.gz": body})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written .* Free some space; what is there is kept"):
            fetch(dataset, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert (fetch(dataset, tmp_path) / "a.gz").read_bytes() == body
    assert server.asked[-1] == ("/a.gz", "bytes=500000-")


def test_mvtec_is_fetched_by_a_person(tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", None)
    with pytest.raises(
        InputError, match=rf"accept the licence first.*https://www\.mvtec\.com.*tar -xf .* -C {tmp_path}/mvtec"
    ):
        fetch(DATASETS["mvtec"], tmp_path)
    assert names(tmp_path) == []


def test_the_catalogue():
    for name, dataset in DATASETS.items():
        assert name == dataset.name
        assert dataset.licence
        assert bool(dataset.downloads) != bool(dataset.by_hand)
        for each in dataset.downloads:
            assert len(bytes.fromhex(each.sha256)) == 32
            assert all(address.endswith(f"/{each.file}") for address in each.addresses)
            assert bool(each.unpacked) == each.file.endswith(".tar.gz")
    assert DATASETS["mnist"].size == 11_594_722
