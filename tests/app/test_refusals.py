"""What the service refuses: with a status, a reason, and never by failing."""

import base64
import io
import socket
import struct
import time
import zlib

import httpx
import numpy as np
import pytest
import small_runs
from PIL import Image

from feint.app.limits import MEBI, Limits
from feint.core.errors import SettingError


def encoded(image: np.ndarray, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, form)
    return file.getvalue()


ORDINARY = encoded(small_runs.picture(0))
JPEG = encoded(small_runs.picture(0), "JPEG")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """Return a PNG of a few hundred bytes that declares side x side pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def refused(response: httpx.Response, status: int) -> str:
    """Return the reason of a refusal; no path of this machine stands in it."""
    assert response.status_code == status, response.text
    assert set(response.json()) == {"reason", "images"}
    assert "/tmp" not in response.text
    assert "Traceback" not in response.text
    return response.json()["reason"]


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 422, "empty file"),
        (b"%PDF-1.4 nothing", 422, "not a PNG, JPEG"),
        (ORDINARY[: len(ORDINARY) // 2], 422, "damaged"),
        (JPEG[: len(JPEG) // 2], 422, "damaged"),
        (ORDINARY[:30], 422, "cannot be read"),
        (encoded(np.zeros((4, 40), np.uint8)), 422, "a side is under 8"),
        (bomb(60_000), 413, "3,600 megapixels"),
        (bomb(11_000), 413, "121 megapixels"),
    ],
)
def test_an_image_that_cannot_be_read_is_refused_with_its_reason(serving, data, status, words):
    found = serving.score(("x.png", data))
    assert words in refused(found, status)
    assert [each["name"] for each in found.json()["images"]] == ["x.png"]


def test_of_several_unreadable_images_each_has_its_reason(serving):
    found = serving.score(("x.png", b"nothing"), ("y.png", bomb(60_000)))
    assert refused(found, 422) == "none of the 2 images can be read"
    assert "bomb" in found.json()["images"][1]["reason"]


def test_bytes_are_limited_as_declared_and_as_sent(serve):
    serving = serve(megabytes=1)
    assert "longer than 1 MiB" in refused(serving.score(("x.png", bytes(MEBI))), 413)

    def endless():
        yield from (bytes(2**16) for _ in range(64))

    found = serving.client.post("/v1/score", content=endless(), headers={"content-type": "application/json"})
    assert "longer than 1 MiB" in refused(found, 413)
    assert serving.score(("x.png", ORDINARY)).status_code == 200


def test_pixels_are_limited_by_header_before_anything_is_decoded(serve):
    serving = serve(megapixels=1)
    one = encoded(np.zeros((900, 900), np.uint8))
    assert serving.score(("x.png", one)).status_code == 200
    assert "2 megapixels together: the limit is 1" in refused(serving.score(("x.png", one), ("y.png", one)), 413)
    assert "36 megapixels together" in refused(serving.score(("x.png", bomb(6000))), 413)


def test_images_are_limited_in_either_form(serve):
    serving = serve(images=2)
    assert "more than 2 images" in refused(serving.score(*[("x.png", ORDINARY)] * 3), 413)
    text = {"data": base64.b64encode(ORDINARY).decode()}
    assert "more than 2 images" in refused(serving.client.post("/v1/score", json={"images": [text] * 3}), 413)
    assert serving.client.post("/v1/score", json={"images": [text] * 2}).status_code == 200


def test_a_body_that_does_not_come_gives_its_place_back(serve):
    serving = serve(in_flight=1, seconds=1)
    with _unfinished(serving) as slow:
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
    assert serving.score(("x.png", ORDINARY)).status_code == 200


def test_a_client_that_leaves_gives_its_place_back(serve, caplog):
    serving = serve(in_flight=1, seconds=600)
    with _unfinished(serving):
        while serving.service.counters.in_flight == 0:
            time.sleep(0.01)
        assert "1 requests are being worked on" in refused(other := serving.score(("x.png", ORDINARY)), 429)
        assert other.headers["retry-after"] == "1"
        assert serving.client.get("/healthz").status_code == 200
    until = time.monotonic() + 60
    while serving.service.counters.in_flight and time.monotonic() < until:
        time.sleep(0.01)
    assert serving.score(("x.png", ORDINARY)).status_code == 200
    assert caplog.records == []


def _unfinished(serving) -> socket.socket:
    """Send the head of a request and a part of its body."""
    connection = socket.create_connection((serving.client.base_url.host, serving.client.base_url.port))
    connection.settimeout(60)
    head = "POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    connection.sendall(head.encode())
    return connection


@pytest.mark.parametrize("kind", [None, "text/plain", "application/jsonp", "application/x-www-form-urlencoded", ";;"])
def test_a_body_of_another_kind_is_refused(serving, kind):
    found = serving.client.post("/v1/score", content=ORDINARY, headers={} if kind is None else {"content-type": kind})
    assert "multipart/form-data" in refused(found, 415)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b"[]", "the JSON is not as expected"),
        (b"{}", "at images"),
        (b'{"images": []}', "at images"),
        (b'{"images": [{"data": 5}]}', "at images.0.data"),
        (b'{"images": [{"data": "", "name": "\\ud800"}]}', "Invalid JSON"),
        (b'{"images": [{"data": "====", "name": "x"}]}', "not base64"),
        ('{"images": [{"data": "ä"}]}'.encode(), "not base64"),
        (b'{"images": [{"data": "", "path": "/etc/passwd"}]}', "at images.0.path"),
        (b'{"images": [{"data": ""}]}', "empty file"),
    ],
)
def test_json_that_is_not_as_expected_is_refused(serving, body, words):
    found = serving.client.post("/v1/score", content=body, headers={"content-type": "application/json"})
    assert words in refused(found, 422)


PART = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="x"\r\n\r\n%s\r\n'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "damaged"),
        (b"nothing", "damaged"),
        (b"--b--\r\n", "no image"),
        (PART % (b"files", ORDINARY), "before its last boundary"),
        (PART % (b"file", ORDINARY) + b"--b--\r\n", "unknown field 'file'"),
        (b"--b\r\n\r\n" + ORDINARY + b"\r\n--b--\r\n", "unknown field ''"),
        (b"--b\r\n" + b"X: y\r\n" * 50_000, "damaged"),
        (b"--b\r\nContent-Disposition: " + b"x" * 100_000, "damaged"),
    ],
)
def test_a_multipart_body_that_is_not_as_expected_is_refused(serving, body, words):
    kind = {"content-type": "multipart/form-data; boundary=b"}
    assert words in refused(serving.client.post("/v1/score", content=body, headers=kind), 422)


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=" + "b" * 5000])
def test_a_boundary_that_is_missing_or_endless_is_refused(serving, kind):
    assert "damaged" in refused(serving.client.post("/v1/score", content=b"--", headers={"content-type": kind}), 422)


def test_a_name_is_repeated_and_never_opened(serving, tmp_path):
    (tmp_path / "there.png").write_bytes(ORDINARY)
    name = f"../..{tmp_path}/there.png"
    assert serving.score((name, b"nothing")).json()["images"] == [
        {"name": name, "reason": "not a PNG, JPEG, BMP, TIFF or WebP image"}
    ]


def test_unknown_routes_methods_and_queries_have_a_reason_too(serving):
    assert refused(serving.client.get("/v1/none"), 404) == "Not Found"
    assert refused(serving.client.get("/v1/score"), 405) == "Method Not Allowed"
    assert refused(serving.score(("x.png", ORDINARY), maps="perhaps"), 422).startswith("query maps")
    assert serving.client.get("/docs").status_code == 404


def test_every_mutated_image_is_scored_or_has_a_reason(serving):
    chance = np.random.default_rng(0)
    forms = [ORDINARY, JPEG, *(encoded(small_runs.picture(1), form) for form in ("TIFF", "WEBP", "BMP"))]
    for k in range(10):
        files = []
        for i in range(20):
            data = np.frombuffer(forms[i % len(forms)], np.uint8).copy()
            data[chance.integers(0, len(data), 1 + k)] ^= (1 << chance.integers(0, 8, 1 + k)).astype(np.uint8)
            files.append((f"{i}.png", data.tobytes()[: chance.integers(1, len(data) + 1)]))
        found = serving.score(*files)
        assert found.status_code in {200, 413, 422}
        assert all(("score" in each) != ("reason" in each) for each in found.json()["images"])


def test_only_who_sends_the_token_is_answered(serve):
    serving = serve(token="a-long-secret")
    ask = serving.client.get
    assert "a token is needed" in refused(ask("/v1/model"), 401)
    assert ask("/v1/model").headers["www-authenticate"] == "Bearer"
    for wrong in ("Bearer a-long-secre", "Bearer a-long-secret-", "a-long-secret", "Basic a-long-secret", "Bearer é"):
        assert "the token is wrong" in refused(ask("/v1/model", headers={"authorization": wrong.encode()}), 401)
    for route in ("/metrics", "/openapi.json", "/nothing"):
        assert ask(route).status_code == 401
    assert refused(serving.score(("x.png", ORDINARY)), 401)
    assert ask("/healthz").status_code == 200
    serving.client.headers["authorization"] = "Bearer a-long-secret"
    assert ask("/v1/model", headers={"host": "camera-7.example"}).status_code == 200
    assert serving.score(("x.png", ORDINARY)).status_code == 200
    assert "a-long-secret" not in ask("/metrics").text


def test_without_a_token_only_this_machine_by_its_own_name(serving):
    ask = serving.client.get
    for host in ("rebound.example", "127.0.0.1.example:80", "", "[::1", "localhost.example"):
        assert ask("/healthz", headers={"host": host}).status_code in {400, 403}
    assert "localhost" in refused(ask("/v1/model", headers={"origin": "https://page.example"}), 403)
    assert ask("/v1/model", headers={"origin": "null"}).status_code == 403
    for host in ("localhost", "localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert ask("/healthz", headers={"host": host}).status_code == 200
    found = ask("/v1/model", headers={"origin": "http://localhost:8000"})
    assert not [name for name in found.headers if name.startswith("access-control")]


def test_impossible_limits_are_refused():
    for wrong in ({"images": 0}, {"megapixels": 101}, {"seconds": -1.0}):
        with pytest.raises(SettingError, match=next(iter(wrong))):
            Limits(**wrong)


def test_a_deep_chain_of_frames_is_not_walked(serving):
    """A TIFF of two megabytes that declares 100,000 further frames."""
    first = encoded(small_runs.picture(0), "TIFF")
    frames, at = [], len(first) + len(first) % 2
    entry = struct.pack("<HHII", 256, 3, 1, 8)
    for k in range(100_000):
        frames.append(struct.pack("<H", 1) + entry + struct.pack("<I", at + 18 * (k + 1)))
    data = bytearray(first.ljust(at, b"\0") + b"".join(frames))
    count = struct.unpack_from("<H", data, offset := struct.unpack_from("<I", data, 4)[0])[0]
    struct.pack_into("<I", data, offset + 2 + 12 * count, at)
    began = time.process_time()  # the service is a thread of this process
    assert serving.score(("x.tif", bytes(data))).status_code == 200
    assert time.process_time() - began < 3
