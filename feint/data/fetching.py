"""Getting a public data set from its makers: resumed where it was cut, verified, unpacked, put in place whole."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from feint.core.errors import InputError, IntegrityError, OutputError
from feint.data.public_sets import Dataset, Download

BLOCK = 1 << 18
TIMEOUT = 30.0
PAUSE = 1.0
MOST_FAILURES = 4
PARTIAL = 206
UNSATISFIABLE = 416
PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)  # neither links and devices nor files with holes

Progress = Callable[[int, int], None]


def fetch(dataset: Dataset, root: Path, *, progress: Progress | None = None) -> Path:
    """Return the folder `root/<name>` of a data set, downloaded if it is not there yet.

    Files arrive in `root/.<name>.partial`, which stays when a download is cut: the next call goes on from there. The
    folder appears under its own name only when every file has the right sha256 and archives are unpacked.

    Args:
        dataset: one of DATASETS, or one of your own.
        root: the folder in which data sets lie; made if need be.
        progress: called with the bytes that are here and the bytes that there are.

    Raises: InputError when no address answers, and for data that a person must fetch, saying how; IntegrityError for a
        wrong checksum (the file is deleted) and for an archive that would write outside its folder or holds links;
        OutputError when the disk is full.
    """
    folder = root / dataset.name
    partial = root / f".{dataset.name}.partial"
    if folder.exists():
        shutil.rmtree(partial, ignore_errors=True)
        return folder
    if not dataset.downloads:
        raise InputError(
            f"{dataset.title} is not downloaded by Feint: {dataset.by_hand.format(page=dataset.page, folder=folder)}"
        )
    ready = partial / "ready"
    try:
        ready.mkdir(parents=True, exist_ok=True)
        _refuse_full_disk(dataset, partial)
        _download(dataset, partial, ready, progress or _silent)
        for each in dataset.downloads:
            if each.unpacked:
                _unpack(partial / each.file, ready, most=each.unpacked)
        ready.rename(folder)
        shutil.rmtree(partial)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"{dataset.title} cannot be written to {root}: {error.strerror or error}. Free some space; what is there "
            f"is kept in {partial}, and the same command goes on from it."
        ) from error
    return folder


def _silent(done: int, total: int) -> None:
    """Tell nobody."""


class _NetworkError(Exception):
    """An address does not answer, or the connection was cut; `final` when asking again is of no use."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


def _refuse_full_disk(dataset: Dataset, partial: Path) -> None:
    here = sum(each.stat().st_size for each in partial.rglob("*") if each.is_file())
    needed = sum(each.size + each.unpacked for each in dataset.downloads) - here
    free = shutil.disk_usage(partial).free
    if needed > free:
        raise OutputError(
            f"{dataset.title} needs {needed / 1e6:,.0f} MB more in {partial.parent}, but {free / 1e6:,.0f} MB are "
            "free. Free some space, or give another root."
        )


def _download(dataset: Dataset, partial: Path, ready: Path, progress: Progress) -> None:
    """Download what is missing: archives into `partial`, plain files into `ready`; each stands there once verified."""
    before = 0
    for each in dataset.downloads:
        done = (partial if each.unpacked else ready) / each.file
        if not done.exists():
            part = partial / f"{each.file}.part"
            _complete(each, part, _from(before, dataset.size, progress))
            _verify(each, part)
            part.replace(done)
        before += each.size
        progress(before, dataset.size)


def _from(before: int, total: int, progress: Progress) -> Callable[[int], None]:
    return lambda here: progress(before + here, total)


def _complete(download: Download, part: Path, tell: Callable[[int], None]) -> None:
    """Append to `part` until it has its size; try again, and the other addresses, as long as that gets on."""
    addresses = list(download.addresses)
    reasons: list[str] = []
    best = _length(part)
    while _length(part) < download.size:
        address = addresses[len(reasons) % len(addresses)]
        try:
            _go_on(address, part, download.size, tell)
        except _NetworkError as error:
            if _length(part) > best:
                best = _length(part)
                reasons.clear()
                continue
            reasons.append(f"{address}: {error}")
            if error.final:
                addresses.remove(address)
            if not addresses or len(reasons) >= MOST_FAILURES:
                raise InputError(
                    f"{download.file} cannot be fetched ({'; '.join(dict.fromkeys(reasons))}). Check the connection "
                    f"and try again: the {best:,} of {download.size:,} bytes that came are kept."
                ) from error
            if len(reasons) >= len(addresses):
                time.sleep(PAUSE * 2 ** len(reasons))


def _go_on(address: str, part: Path, size: int, tell: Callable[[int], None]) -> None:
    """Append what is missing of `part`, or begin again where the server sends the whole file only."""
    here = _length(part)
    response = _open(address, here, part)
    with response:
        if response.status != PARTIAL:
            here = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {here}-"):
            raise _NetworkError("it sent another range than was asked for", final=True)
        with part.open("ab" if here else "wb") as file:
            while block := _read(response):
                here += len(block)
                if here > size:
                    break
                file.write(block)
                tell(here)
    if here > size:
        part.unlink()
        raise _NetworkError(f"it sends more than {size:,} bytes", final=True)
    if here < size:
        raise _NetworkError(f"the connection was cut after {here:,} of {size:,} bytes")


def _open(address: str, here: int, part: Path) -> http.client.HTTPResponse:
    if not address.startswith(("http://", "https://")):
        raise _NetworkError("only http and https are fetched", final=True)
    request = urllib.request.Request(address, headers={"User-Agent": "feint"} | _range(here))  # noqa: S310
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == UNSATISFIABLE:
            part.unlink(missing_ok=True)
        final = error.code // 100 == 4 and error.code not in {408, UNSATISFIABLE, 429}
        raise _NetworkError(f"HTTP {error.code} {error.reason}", final=final) from error
    except (OSError, http.client.HTTPException) as error:
        raise _NetworkError(str(getattr(error, "reason", error)) or type(error).__name__) from error
    return response


def _range(here: int) -> dict[str, str]:
    return {"Range": f"bytes={here}-"} if here else {}


def _read(response: http.client.HTTPResponse) -> bytes:
    """Return the next block; a connection that breaks off ends the file, which is then too short."""
    try:
        return response.read(BLOCK)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException):
        return b""


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _verify(download: Download, part: Path) -> None:
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != download.sha256:
        part.unlink()
        raise IntegrityError(
            f"{download.file} has the sha256 {digest} instead of {download.sha256}, so it is deleted. Fetch it again; "
            "if that ends the same way, its address serves another file."
        )


def _unpack(archive: Path, folder: Path, *, most: int) -> None:
    """Write the files of a .tar.gz into `folder`, without the one folder they lie in, or refuse the whole archive."""
    written = 0
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                if member.isdir():
                    continue
                target = folder / _inner_path(archive, member)
                written += member.size
                if written > most:
                    raise IntegrityError(f"{archive.name} unpacks to more than {most:,} bytes: it is not used.")
                target.parent.mkdir(parents=True, exist_ok=True)
                content = opened.extractfile(member)
                if content is not None:
                    with content, target.open("wb") as file:
                        shutil.copyfileobj(content, file, BLOCK)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise IntegrityError(f"{archive.name} is no readable .tar.gz archive: {error}.") from error


def _inner_path(archive: Path, member: tarfile.TarInfo) -> Path:
    """Return where a member goes, relative to the folder; only plain files that stay inside it are let through."""
    path = PurePosixPath(member.name)
    inner = path.parts[1:] if len(path.parts) > 1 else path.parts
    if (
        member.type not in PLAIN
        or path.is_absolute()
        or ".." in path.parts
        or "\\" in member.name
        or ":" in member.name
    ):
        raise IntegrityError(
            f"{archive.name} holds {member.name!r}, which is a link, a device or outside its folder: it is not used."
        )
    return Path(*inner)
