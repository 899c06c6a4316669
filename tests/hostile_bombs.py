"""Image files made by hand that cost much, mean nothing or lie, each with a name that says how."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
SHORT, LONG = 3, 4
SIZES = {"60000": (60_000, 60_000), "11000": (11_000, 11_000), "most": (2**31 - 1, 2**31 - 1), "none": (0, 0)}


def chunk(kind: bytes, data: bytes, *, checksum: int | None = None) -> bytes:
    """Return one chunk of a PNG."""
    found = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", found)


def png(width: int, height: int, rows: bytes, *between: bytes, depth: int = 8, colour: int = 0, lace: int = 0) -> bytes:
    """Return a PNG of compressed `rows`, with chunks between its header and its pixels."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, lace)
    return PNG_HEAD + chunk(b"IHDR", head) + b"".join(between) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(*pages: list[tuple[int, int, int, int]], after: int | None = None, pixels: bytes = b"") -> bytes:
    """Return a little-endian TIFF of pages, each a list of tags (tag, type, count, value); `after` follows the last.

    The pixels come last; a value of -1 stands for where they begin.
    """
    lengths = [2 + 12 * len(tags) + 4 for tags in pages]
    start = 8 + sum(lengths)
    file, at = bytearray(b"II*\0" + struct.pack("<I", 8)), 8
    for k, (tags, length) in enumerate(zip(pages, lengths, strict=True)):
        at += length
        following = at if k + 1 < len(pages) else (after or 0)
        file += struct.pack("<H", len(tags))
        file += b"".join(struct.pack("<HHII", t, kind, n, (start if v == -1 else v) % 2**32) for t, kind, n, v in tags)
        file += struct.pack("<I", following % 2**32)
    return bytes(file) + pixels


def page(width: int, height: int, *, at: int = -1, length: int = 0, **more: int) -> list[tuple[int, int, int, int]]:
    """Return the tags of an 8-bit grey page in one strip; `more` sets compression, bits, rows, sample or strips."""
    count = more.get("strips", 1)
    return [
        (256, LONG, 1, width), (257, LONG, 1, height), (258, SHORT, 1, more.get("bits", 8)),
        (259, SHORT, 1, more.get("compression", 1)), (262, SHORT, 1, 1), (273, LONG, count, at),
        (277, SHORT, 1, more.get("samples", 1)), (278, LONG, 1, more.get("rows", height)),
        (279, LONG, count, length or width * height), (339, SHORT, 1, more.get("sample", 1)),
    ]  # fmt: skip


def crafted() -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes, about 130 files of at most 1.1 MB."""
    yield from _sizes()
    yield from _pngs()
    yield from _jpegs()
    yield from _tiffs()
    yield from _webps()
    yield from _bmps()
    yield from _no_images()


def _sizes() -> Iterator[tuple[str, bytes]]:
    """Yield headers that declare more than there is."""
    for name, (width, height) in SIZES.items():
        short = (min(width, 65535), min(height, 65535))
        yield f"declares-{name}.png", png(width, height, zlib.compress(bytes(1000)))
        yield f"declares-{name}.tif", tiff(page(width, height, length=100), pixels=bytes(100))
        yield f"declares-{name}.bmp", bmp(width, height, b"")
        yield f"declares-{name}.jpg", resized_jpeg(*short)
        yield f"declares-{name}.webp", resized_webp(*short)


def _pngs() -> Iterator[tuple[str, bytes]]:
    grey, blank = zlib.compress(bytes(33 * 32)), zlib.compress(bytes(100_000_000), 9)
    yield "real-16-megapixels.png", png(4000, 4000, zlib.compress(bytes(4000 * 501), 9), depth=1)
    yield "real-laced.png", png(3000, 3000, zlib.compress(bytes(12_000_000), 9), lace=1)
    yield "more-pixels-than-declared.png", png(32, 32, blank)
    yield "ztxt-bomb.png", png(32, 32, grey, chunk(b"zTXt", b"Comment\0\0" + blank))
    yield "itxt-bomb.png", png(32, 32, grey, chunk(b"iTXt", b"Comment\0\1\0\0\0" + blank))
    yield "iccp-bomb.png", png(32, 32, grey, chunk(b"iCCP", b"profile\0\0" + blank))
    yield "many-texts.png", png(32, 32, grey, *[chunk(b"tEXt", b"k%d\0v" % i) for i in range(20_000)])
    yield "many-bombs.png", png(32, 32, grey, *[chunk(b"zTXt", b"k%d\0\0" % i + blank) for i in range(8)])
    yield "endless-chunk.png", PNG_HEAD + struct.pack(">I", 2**31 - 1) + b"IHDR" + bytes(50)
    yield "negative-chunk.png", PNG_HEAD + struct.pack(">i", -5) + b"IHDR" + bytes(50)
    yield "no-palette.png", png(32, 32, grey, colour=3)
    yield "short-palette.png", png(32, 32, zlib.compress(b"\0" + b"\xff" * 32 * 32), chunk(b"PLTE", b"ab"), colour=3)
    yield "odd-depth.png", png(32, 32, grey, depth=3)
    yield "odd-transparency.png", png(32, 32, grey, chunk(b"tRNS", b"\1\2\3\4\5"))
    yield (
        "no-pixels.png",
        PNG_HEAD + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 0, 0, 0, 0)) + chunk(b"IEND", b""),
    )
    yield "two-headers.png", png(32, 32, grey, chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 6, 0, 0, 0)))
    yield "wrong-checksum.png", png(32, 32, grey, chunk(b"tEXt", b"a\0b", checksum=7), chunk(b"IDAT", grey, checksum=1))
    yield "many-frames.png", png(32, 32, grey, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)))
    yield "odd-frames.png", png(32, 32, grey, chunk(b"acTL", b"\0"), chunk(b"fcTL", b"\1"), chunk(b"fdAT", b""))
    for name, exif in _exifs():
        yield f"exif-{name}.png", png(32, 32, grey, chunk(b"eXIf", exif))


def _exifs() -> Iterator[tuple[str, bytes]]:
    """Yield EXIF blocks: each a TIFF without pixels."""
    for turn in (*range(10), 65535):
        yield f"orientation-{turn}", tiff([(0x0112, SHORT, 1, turn)])
    yield "text", tiff([(0x0112, 2, 4, 0x41414141)])
    yield "loop", tiff([(0x8769, LONG, 1, 8)], after=8)
    yield "empty", b""
    yield "nothing", b"Exif\0\0II*\0"
    yield "overlapping", tiff([(k, 1, 60_000, 8) for k in range(2000)], pixels=bytes(60_000))
    yield "far", tiff([(0x0112, SHORT, 1000, -5)])


def _jpegs() -> Iterator[tuple[str, bytes]]:
    file = io.BytesIO()
    Image.new("L", (2000, 2000), 130).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    yield "many-scans.jpg", data[:last] + data[last:-2] * 5_000 + b"\xff\xd9"
    small = small_jpeg()
    for name, exif in _exifs():
        yield f"exif-{name}.jpg", small[:2] + _segment(0xE1, b"Exif\0\0" + exif[:65000]) + small[2:]
    yield "many-segments.jpg", small[:2] + _segment(0xE1, b"Exif\0\0" + bytes(10)) * 20_000 + small[2:]
    yield "profile-out-of-order.jpg", small[:2] + _segment(0xE2, b"ICC_PROFILE\0\7\2x") + small[2:]
    yield "pictures-of-nothing.jpg", small[:2] + _segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff") + small[2:]
    yield "only-markers.jpg", b"\xff\xd8" + b"\xff" * 100_000
    yield "no-tables.jpg", b"\xff\xd8" + small[small.index(b"\xff\xc0") :]


def _tiffs() -> Iterator[tuple[str, bytes]]:
    whole = bytes(range(256)) * 4
    yield "whole.tif", tiff(page(32, 32), pixels=whole)
    yield "page-after-itself.tif", tiff(page(32, 32), after=8, pixels=whole)
    yield "pages-in-a-ring.tif", tiff(page(32, 32), page(32, 32), after=8, pixels=whole)
    yield "page-beyond-the-end.tif", tiff(page(32, 32), after=2**31, pixels=whole)
    yield "many-pages.tif", tiff(page(32, 32), *[page(32, 32)] * 4_000, pixels=whole)
    for name, at in {"negative": -5, "far": 2**31, "itself": 0}.items():
        yield f"strip-{name}.tif", tiff(page(32, 32, at=at), pixels=whole)
    yield "strip-of-gigabytes.tif", tiff(page(32, 32, length=2**32 - 1), pixels=whole)
    yield "many-strips-declared.tif", tiff(page(32, 32, strips=2**30, rows=1), pixels=whole)
    yield "many-strips.tif", tiff(page(8, 110_000, rows=1, strips=110_000), pixels=bytes(540_000))
    for bits, sample in ((32, 3), (16, 3), (64, 3), (32, 2), (16, 2), (12, 1), (24, 3), (1, 1), (0, 1), (65535, 1)):
        yield f"bits-{bits}-{sample}.tif", tiff(page(16, 16, bits=bits, sample=sample), pixels=whole * 4)
    for kind in (2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34712, 34887, 50000, 50001, 65535):
        yield f"compression-{kind}.tif", tiff(page(32, 32, compression=kind), pixels=whole)
    yield "deflated-9-megapixels.tif", _deflated(3000)
    yield "deflated-to-less.tif", tiff(page(3000, 3000, compression=8, length=40), pixels=zlib.compress(bytes(99)))
    yield "many-samples.tif", tiff(page(32, 32, samples=65535), pixels=whole)
    yield (
        "overlapping-tags.tif",
        tiff([*page(32, 32), *[(k, 1, 900_000, 8) for k in range(1000, 60_000)]], pixels=bytes(200_000)),
    )
    for name, value in {"nan": np.nan, "infinite": np.inf, "vast": 1e38, "below": -1e38, "deep": 70_000}.items():
        pixels = np.linspace(0, 1, 1024).astype("<f4")
        pixels[100:600] = value
        yield f"float-{name}.tif", tiff(page(32, 32, bits=32, sample=3, length=4096), pixels=pixels.tobytes())


def _deflated(side: int) -> bytes:
    pixels = zlib.compress(bytes(side * side), 9)
    return tiff(page(side, side, compression=8, length=len(pixels)), pixels=pixels)


def _webps() -> Iterator[tuple[str, bytes]]:
    file = io.BytesIO()
    frames = [Image.new("RGB", (32, 32), (k, 0, 0)) for k in range(200)]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    yield "many-frames.webp", file.getvalue()
    canvas = bytearray(file.getvalue())
    canvas[24:30] = (2999).to_bytes(3, "little") * 2
    yield "canvas-of-9-megapixels.webp", bytes(canvas)
    file = io.BytesIO()
    Image.new("RGB", (3000, 3000)).save(file, "WEBP", lossless=True)
    yield "real-9-megapixels.webp", file.getvalue()
    yield "size-of-gigabytes.webp", b"RIFF\xff\xff\xff\xffWEBPVP8L\xff\xff\xff\xff" + bytes(40)


def _bmps() -> Iterator[tuple[str, bytes]]:
    yield "run-lengths-of-9-megapixels.bmp", bmp(3000, 3000, b"\xff\x05" * 100_000 + b"\0\1", compression=1)
    yield "run-lengths-of-one.bmp", bmp(3000, 3000, b"\1\5" * 400_000 + b"\0\1", compression=1)
    yield "run-lengths-of-jumps.bmp", bmp(5000, 5000, b"\0\2\xff\xff" * 100_000, compression=1)
    yield "upside-down.bmp", bmp(32, -32, bytes(1024))
    yield "backwards.bmp", bmp(-32, 32, bytes(1024))
    yield "smallest-number.bmp", bmp(-(2**31), -(2**31), bytes(1024))
    for kind in (2, 3, 4, 5, 6, 99):
        yield f"compression-{kind}.bmp", bmp(32, 32, bytes(2048), compression=kind)
    for bits in (0, 1, 2, 4, 16, 24, 32, 64, 65535):
        yield f"bits-{bits}.bmp", bmp(32, 32, bytes(4096), bits=bits)
    yield "palette-of-billions.bmp", bmp(32, 32, bytes(1024), colours=2**32 - 1)
    yield "pixels-beyond-the-end.bmp", bmp(32, 32, b"", at=2**31)


def _no_images() -> Iterator[tuple[str, bytes]]:
    """Yield files of other kinds that Pillow could open, and others, named like images."""
    for kind in ("GIF", "PPM", "TGA", "ICO", "PCX", "EPS", "JPEG2000"):
        file = io.BytesIO()
        Image.new("RGB", (32, 32), "red").save(file, kind)
        yield f"truly-{kind}.png", file.getvalue()
    yield "document.png", b"%PDF-1.7\n" + bytes(100)
    yield "page.png", b"<html><script>alert(1)</script></html>"
    yield "drawing.png", b'<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"/>'
    yield "archive.png", b"PK\x03\x04" + bytes(60)
    yield "zeros.tif", bytes(100_000)
    yield "pickle.bmp", b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."


def _segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def small_jpeg() -> bytes:
    """Return a grey JPEG of 32 x 32 pixels, without a density, so that Pillow looks for one in its EXIF."""
    file = io.BytesIO()
    Image.fromarray(np.arange(1024, dtype=np.uint8).reshape(32, 32)).save(file, "JPEG")
    data = file.getvalue()
    first = data.index(b"\xff\xe0")
    (length,) = struct.unpack(">H", data[first + 2 : first + 4])
    return data[:first] + data[first + 2 + length :]


def resized_jpeg(width: int, height: int) -> bytes:
    """Return a JPEG that declares another size than it has."""
    data = bytearray(small_jpeg())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def resized_webp(width: int, height: int) -> bytes:
    """Return a WebP whose canvas declares another size than its picture has."""
    flags = struct.pack("<I", 0) + (width % 2**24).to_bytes(3, "little") + (height % 2**24).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", len(flags)) + flags + b"VP8L" + struct.pack("<I", 6) + b"\x2f\0\0\0\0\0"
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bmp(width: int, height: int, pixels: bytes, *, bits: int = 8, compression: int = 0, **more: int) -> bytes:
    """Return a BMP with a grey palette; `more` sets colours, or at: where it says that its pixels begin."""
    palette = bytes(value for level in range(256) for value in (level, level, level, 0))
    at = more.get("at", 54 + len(palette))
    wrapped = (width + 2**31) % 2**32 - 2**31, (height + 2**31) % 2**32 - 2**31
    info = struct.pack(
        "<IiiHHIIiiII", 40, *wrapped, 1, bits, compression, len(pixels), 1, 1, more.get("colours", 256), 0
    )
    return b"BM" + struct.pack("<IHHI", at + len(pixels), 0, 0, at) + info + palette + pixels
