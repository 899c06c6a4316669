"""How many times its length the body of a request takes while it is unpacked."""

import base64
import json
import tracemalloc

import pytest

from feint.app.limits import MEBI, Limits
from feint.app.uploads import JSON, MULTIPART, uploads_of

IMAGE = bytes(range(256)) * (8 * MEBI // 256)


def form(image: bytes) -> bytes:
    head = b'--B\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    return head + image + b"\r\n--B--\r\n"


def text(image: bytes) -> bytes:
    return json.dumps({"images": [{"data": base64.b64encode(image).decode()}]}).encode()


@pytest.mark.parametrize(
    ("write", "kind", "times"), [(form, f"{MULTIPART}; boundary=B", 2.2), (text, JSON, 3)], ids=["form", "text"]
)
def test_a_body_is_used_up_while_it_is_unpacked(write, kind, times):
    body = write(IMAGE)
    whole = bytearray(body)
    tracemalloc.start()
    try:
        (upload,) = uploads_of(whole, content_type=kind, limits=Limits())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert upload.data == IMAGE
    assert not whole
    assert peak < times * len(body)
