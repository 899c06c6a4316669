"""A thousand image files that nobody should send, the same each time: whole ones, damaged ones, crafted ones."""

import io
import os
import re
import socket
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path

import hostile_bombs
import numpy as np
from PIL import Image

COUNT = 1000
SECONDS = 10.0  # longest that any of them may take, on a busy machine


@dataclass(frozen=True)
class Hostile:
    """A file: its name, without a folder, and its bytes."""

    name: str
    data: bytes


@cache
def hostile_files(count: int = COUNT, *, seed: int = 0) -> tuple[Hostile, ...]:
    """Return `count` files of distinct names: every whole and every crafted one, then mutations."""
    chance = np.random.default_rng(seed)
    files = chain(_whole(), _crafted(), _named(), _mutations(chance))
    return tuple(islice(files, count))


def write(folder: Path, files: Iterable[Hostile]) -> Path:
    """Write the files into a new folder."""
    folder.mkdir(parents=True)
    for each in files:
        (folder / each.name).write_bytes(each.data)
    return folder


@cache
def whole_images() -> dict[str, bytes]:
    """Return one image in every format, mode and compression that is read, by file name."""
    chance = np.random.default_rng(1)
    grey = (np.add.outer(np.arange(40), np.arange(48)) * 2 + chance.integers(0, 40, (40, 48))).astype(np.uint8)
    colour = np.stack([grey, grey.T.reshape(40, 48), 255 - grey], axis=-1)
    deep = grey.astype(np.uint16) * 257
    made = {f"{mode}.png": _saved(colour, mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")}
    made |= {f"{mode}.jpg": _saved(colour, mode, "JPEG") for mode in ("L", "RGB", "CMYK")}
    made |= {f"{mode}.bmp": _saved(colour, mode, "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")}
    made |= {f"{mode}.webp": _saved(colour, mode, "WEBP") for mode in ("RGB", "RGBA")}
    made |= {f"{mode}.tif": _saved(colour, mode, "TIFF") for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr")}
    made |= {
        f"{each}.tif": _saved(colour, "RGB", "TIFF", compression=each)
        for each in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg", "zstd")
    }
    made["group4.tif"] = _saved(colour, "1", "TIFF", compression="group4")
    made["progressive.jpg"] = _saved(colour, "RGB", "JPEG", progressive=True)
    made["lossless.webp"] = _saved(colour, "RGB", "WEBP", lossless=True)
    made["16.png"], made["16.tif"] = _saved(deep, None, "PNG"), _saved(deep, None, "TIFF")
    made["float.tif"] = _saved((grey / 255).astype(np.float32), None, "TIFF")
    frames = [Image.fromarray(each) for each in (colour, colour[::-1], colour[:, ::-1])]
    for name, form in (("pages.tif", "TIFF"), ("animated.webp", "WEBP"), ("animated.png", "PNG")):
        file = io.BytesIO()
        frames[0].save(file, form, save_all=True, append_images=frames[1:])
        made[name] = file.getvalue()
    made["tiled.tif"] = _tiled(grey)
    return made


def _saved(pixels: np.ndarray, mode: str | None, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(file, form, **options)
    return file.getvalue()


def _tiled(grey: np.ndarray) -> bytes:
    """Return a TIFF of one tile, 48 x 48, of which 40 rows count."""
    tags = [
        (256, 3, 1, 48), (257, 3, 1, 40), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1),
        (322, 3, 1, 48), (323, 3, 1, 48), (324, 4, 1, -1), (325, 4, 1, 48 * 48),
    ]  # fmt: skip
    return hostile_bombs.tiff(tags, pixels=np.vstack([grey, grey[:8]]).tobytes())


def _whole() -> Iterator[Hostile]:
    for name, data in whole_images().items():
        yield Hostile(f"whole-{name}", data)


def _crafted() -> Iterator[Hostile]:
    for name, data in hostile_bombs.crafted():
        yield Hostile(f"crafted-{name}", data)


def _named() -> Iterator[Hostile]:
    """Yield a whole image under names that few expect."""
    data = whole_images()["L.png"]
    names = ["-rf.png", "--out=x.png", "a\nb.png", "a\tb\r.png", 'say "x",y.png', "it's; rm -rf $HOME `id`.png"]
    names += ["\u00e9.png", "e\u0301.png", "\u202egnp.exe.png", "\x1b[31mred\x07.png", "\u2028.png"]
    names += ["%00.png", "%2e%2e%2f.png", "x..png", " .png", "a b .png", "=1+1.png", "@sum(a1).png", "CON.png"]
    names += ["x" * 251 + ".png", "\U0001f600.png", "\udcff\udc80.png", "nan.png", "<img src=x onerror=alert(1)>.png"]
    names += ["C:\\x.png", "a\\..\\..\\x.png", "{0.__class__}.png", "[red]x[bold].png", "UPPER.PNG", "two.tar.png"]
    yield from (Hostile(name, data) for name in names)


def _mutations(chance: np.random.Generator) -> Iterator[Hostile]:
    """Yield damaged images without end: every way in turn, to an image by chance, sometimes under another suffix."""
    images = whole_images()
    names = sorted(images)
    suffixes = ("png", "jpg", "bmp", "tif", "webp")
    for number in range(10**9):
        way = WAYS[number % len(WAYS)]
        name = names[chance.integers(len(names))]
        data = way(np.frombuffer(images[name], np.uint8).copy(), chance)
        stem, suffix = name.rsplit(".", 1)
        shown = suffixes[chance.integers(5)] if chance.random() < 0.15 else suffix
        yield Hostile(f"{number:04d}-{way.__name__[1:].replace('_', '-')}-{stem}.{shown}", data.tobytes())


def _flipped_bit(data: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    data[chance.integers(len(data))] ^= 1 << int(chance.integers(8))
    return data


def _flipped_bits(data: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    at = chance.integers(0, len(data), chance.integers(2, 60))
    data[at] ^= (1 << chance.integers(0, 8, len(at))).astype(np.uint8)
    return data


def _flipped_header(data: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    at = chance.integers(2, min(len(data), 64), chance.integers(1, 4))
    data[at] = chance.integers(0, 256, len(at))
    return data


def _noisy_run(data: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    start = chance.integers(len(data))
    part = data[start : start + chance.integers(1, 200)]
    part[:] = chance.integers(0, 256, len(part))
    return data


def _run_of_ones(data: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    start = chance.integers(4, len(data))
    data[start : start + chance.integers(1, 40)] = 255
    return data


def _cut(data: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    return data[: [0, 1, 8, 32, len(data) // 2, len(data) - 1, chance.integers(len(data))][chance.integers(7)]]


def _without_a_part(data: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    start = chance.integers(len(data))
    return np.delete(data, slice(start, start + chance.integers(1, 100)))


def _with_a_part_twice(data: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    start, end = np.sort(chance.integers(0, len(data), 2))
    return np.concatenate([data[:end], data[start:]])


def _with_a_tail(data: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    return np.concatenate([data, chance.integers(0, 256, 500, np.uint8)])


WAYS = (
    _flipped_bit, _flipped_bits, _flipped_header, _noisy_run, _run_of_ones, _cut, _without_a_part, _with_a_part_twice,
    _with_a_tail,
)  # fmt: skip


def odd_places(folder: Path) -> set[str]:
    """Make what is named like an image and is no file of this folder; return the names, of which none may be read."""
    folder.mkdir(parents=True, exist_ok=True)
    outside = folder.parent / "outside.png"
    outside.write_bytes(whole_images()["L.png"])
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    _make_socket(folder / "socket.png")
    for name, target in {
        "loop.png": "loop.png", "dangling.png": "nothing.png", "outside.png": outside, "device.png": "/dev/zero",
        "relative.png": "../outside.png", "password.png": "/etc/passwd", "round.png": folder,
    }.items():  # fmt: skip
        (folder / name).symlink_to(target)
    return {each.name for each in folder.iterdir()}


def _make_socket(path: Path) -> None:
    """Leave a socket there; its own path may be too long for one, a short one from its folder is not."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)
    assert stat.S_ISSOCK(path.stat().st_mode)


def plain(reason: str) -> bool:
    """Tell whether a reason is one printable line that names no place on this machine and no piece of Python."""
    internal = r"Error|Traceback|Errno|0x[0-9a-f]|/tmp|decoder error|\bNone\b|[a-z]_[a-z]"
    return reason.isprintable() and 8 < len(reason) < 250 and not re.search(internal, reason)


def resident(process: str = "self") -> int:
    """Return the bytes of a process that lie in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files(process: str = "self") -> int:
    """Return how many files, pipes and sockets a process has open."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def running_threads(process: str = "self") -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{process}/task").iterdir()))
