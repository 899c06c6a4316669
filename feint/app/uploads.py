"""The body of a request into named bytes, read no further than the limits allow; nothing touches the disk."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from feint.app.limits import MEBI, Limits, Refusal

FIELD = "files"
MULTIPART, JSON = "multipart/form-data", "application/json"
AT_ONCE = 2**18


@dataclass(frozen=True)
class Upload:
    """One image as it came: `name` is only ever repeated to the client."""

    name: str
    data: bytes


class ImageText(BaseModel):
    """One image as text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(default="", max_length=1000, description="repeated in the answer; never opened")
    data: str = Field(
        description="the file's bytes in base64", json_schema_extra={"format": "byte", "contentEncoding": "base64"}
    )


class ImagesText(BaseModel):
    """The JSON body of POST /v1/score."""

    model_config = ConfigDict(extra="forbid", strict=True)

    images: list[ImageText] = Field(min_length=1)


async def read_body(chunks: AsyncIterator[bytes], *, declared: str, limits: Limits) -> bytearray:
    """Return the whole body, in one copy.

    Raises: Refusal 413 as soon as it is, or declares to be, longer than the limit; 408 where it does not come in time.
    """
    most = limits.megabytes * MEBI
    too_long = Refusal(413, f"the request is longer than {limits.megabytes} MiB: send fewer or smaller images")
    if declared.isdecimal() and int(declared) > most:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in chunks:
                body += chunk
                if len(body) > most:
                    raise too_long
    except TimeoutError:
        raise Refusal(408, f"the request was not complete after {limits.seconds:g} seconds") from None
    return body


def uploads_of(body: bytearray, *, content_type: str, limits: Limits) -> list[Upload]:
    """Return the images of a body, in its order; the body is used up, so that it is not in memory twice.

    Raises: Refusal 415 for a content type that is neither multipart nor JSON, 422 for a body that is not what its
    content type says or holds no image, 413 for too many images.
    """
    kind, options = parse_options_header(content_type)
    if kind == MULTIPART.encode():
        found = _of_multipart(body, options.get(b"boundary", b""), limits)
    elif kind == JSON.encode():
        found = _of_json(body, limits)
    else:
        raise Refusal(415, f"the content type must be {MULTIPART} (field '{FIELD}') or {JSON}")
    if not found:
        raise Refusal(422, f"the request holds no image: send at least one file in the field '{FIELD}'")
    return found


def _of_json(body: bytearray, limits: Limits) -> list[Upload]:
    try:
        images = ImagesText.model_validate_json(body).images
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Refusal(422, f"the JSON is not as expected{where and ' at ' + where}: {first['msg']}") from None
    _refuse_many(len(images), limits)
    body.clear()
    try:
        return [
            Upload(each.name or f"image-{i:05d}", base64.b64decode(each.data, validate=True))
            for i, each in enumerate(images)
        ]
    except (binascii.Error, ValueError):
        raise Refusal(422, "the data of an image is not base64") from None


def _of_multipart(body: bytearray, boundary: bytes, limits: Limits) -> list[Upload]:
    parts = _Parts(limits)
    try:
        parser = MultipartParser(boundary, {
            "on_part_begin": parts.begin, "on_header_field": parts.field, "on_header_value": parts.value,
            "on_header_end": parts.header, "on_headers_finished": parts.headers, "on_part_data": parts.data,
            "on_part_end": parts.end, "on_end": parts.complete,
        })  # fmt: skip
        while body:
            parser.write(bytes(body[:AT_ONCE]))
            del body[:AT_ONCE]
        parser.finalize()
    except FormParserError as error:
        raise Refusal(422, f"the multipart body is damaged: {error}") from None
    if not parts.whole:
        raise Refusal(422, "the multipart body is damaged: it ends before its last boundary")
    return parts.found


@final
class _Parts:
    """Collects the parts of a multipart body, as its parser meets them."""

    def __init__(self, limits: Limits) -> None:
        self.found: list[Upload] = []
        self.whole = False
        self._limits = limits

    def begin(self) -> None:
        _refuse_many(len(self.found) + 1, self._limits)
        self._field, self._value = bytearray(), bytearray()
        self._pieces: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}

    def field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        field = options.get(b"name", b"").decode("utf-8", "replace")
        if field != FIELD:
            raise Refusal(422, f"unknown field {field[:100]!r}: send every image as a file in the field '{FIELD}'")
        name = options.get(b"filename", b"").decode("utf-8", "replace")[:1000]
        self._name = name or f"image-{len(self.found):05d}"

    def data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def end(self) -> None:
        self.found.append(Upload(self._name, b"".join(self._pieces)))

    def complete(self) -> None:
        self.whole = True


def _refuse_many(images: int, limits: Limits) -> None:
    if images > limits.images:
        raise Refusal(413, f"the request holds more than {limits.images} images: send them in several")
