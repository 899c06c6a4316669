"""Images and tables at URLs, by way of fsspec: listed folder by folder, fetched a few at a time."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from feint.core.errors import InputError, SettingError
from feint.data.folders import SUFFIXES, Met, ignored, leads_out
from feint.data.pools import in_order
from feint.data.reading import UnreadableImageError

PACKAGES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp requests", "https": "aiohttp requests",
    "az": "adlfs", "abfs": "adlfs", "hf": "huggingface_hub", "sftp": "paramiko", "smb": "smbprotocol",
}  # fmt: skip
"""What fsspec needs besides itself, by the scheme of a URL."""

USER = re.compile(r"(?<=://)[^/?#\s'\"]+@")
QUERY = re.compile(r"(://[^?\s'\"]*\?)([^\s'\"]+?)(?=::|[\s'\"]|$)")
HIDDEN = "***"

AT_A_TIME = 8
PAUSES = (0.5, 2.0)
LARGEST_UNPACKED = 2**29


class UnreachableImageError(UnreadableImageError):
    """An image could not be fetched, for a reason that may pass."""


def is_url(source: str) -> bool:
    """Tell whether `source` is a URL and no path of this machine.

    Example:
        >>> is_url("s3://bucket/parts"), is_url("zip://::file:///parts.zip"), is_url("C:/parts")
        (True, True, False)
    """
    return "://" in source or "::" in source


def redacted(text: str) -> str:
    """Return a text in which no URL shows a user, password or query any more: keys may be in them.

    Example:
        >>> redacted("zip://in::https://ann:secret@host/a.zip?sig=0f3a")
        'zip://in::https://***@host/a.zip?***'
    """
    return QUERY.sub(rf"\1{HIDDEN}", USER.sub(f"{HIDDEN}@", text))


def digest_of_queries(url: str) -> str | None:
    """Return the SHA-256 of what `redacted` hides of a URL's queries, None where it has none."""
    queries = [query for _, query in QUERY.findall(url)]
    return hashlib.sha256("\0".join(queries).encode()).hexdigest() if queries else None


def open_url(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path in it without a slash at its end; nothing is fetched.

    Raises: SettingError where a package is missing or nothing knows the scheme; InputError where it cannot be opened.
    """
    try:
        import fsspec
    except ImportError as error:
        raise SettingError(f"{redacted(url)} needs fsspec, which is not installed: pip install fsspec.") from error
    try:
        system, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        scheme = url.rpartition("::")[2].partition("://")[0]
        package = PACKAGES.get(scheme)
        what = f"a package that is not installed: pip install {package}." if package else f"more: {error}."
        raise SettingError(f"{redacted(url)} needs {what}") from error
    except ValueError as error:
        raise SettingError(f"{redacted(url)} has a scheme that fsspec does not know: {error}.") from error
    except Exception as error:  # a driver may raise anything
        raise _failed(url, error) from error
    return system, str(root).rstrip("/")


def local_folder(url: str) -> Path | None:
    """Return the folder of this machine that a URL means, None where it means anything else; see `open_url`."""
    from fsspec.implementations.local import LocalFileSystem

    system, path = open_url(url)
    return Path(path or "/") if isinstance(system, LocalFileSystem) else None


def open_remote(url: str) -> BinaryIO:
    """Open a file at a URL; raises as `open_url` does."""
    system, path = open_url(url)
    try:
        return cast("BinaryIO", system.open(path, "rb"))
    except Exception as error:
        raise _failed(url, error) from error


def is_remote_file(url: str) -> bool:
    """Tell whether there is a file at a URL; raises as `open_url` does."""
    system, path = open_url(url)
    try:
        return bool(system.isfile(path))
    except Exception as error:
        raise _failed(url, error) from error


def walk_remote(url: str, met: Met, *, suffixes: frozenset[str] = SUFFIXES) -> Iterator[str]:
    """Yield the files below a URL that have one of `suffixes`, relative to it; one folder's names are in memory.

    Names that begin with a dot, and what does not lie below the URL, are passed over, as in `walk_images`; other
    systems than that of this machine resolve their links themselves.
    """
    system, root = open_url(url)
    yield from _walk(system, root, root, url, met, suffixes)


def fetch(url: str, names: Sequence[str]) -> Iterator[bytes | UnreadableImageError]:
    """Yield the content of the files `names` below a URL, in order, or why one has none.

    A failure that may pass is tried again twice, then it is an UnreachableImageError; a refusal is one at once.
    Cost: 32 files in memory at a time where the driver can fetch several at once, otherwise one.
    """
    system, root = open_url(url)
    workers = AT_A_TIME if getattr(system, "async_impl", False) else 1
    return in_order(lambda i: _content(system, _join(root, names[i])), range(len(names)), workers=workers)


def below(url: str, name: str) -> str:
    """Return the URL of the file `name` in the folder at `url`; in `zip://::file:///a.zip` the folder comes first.

    Example:
        >>> below("s3://bucket/parts/", "a/1.png"), below("zip://in::file:///a.zip", "1.png")
        ('s3://bucket/parts/a/1.png', 'zip://in/1.png::file:///a.zip')
    """
    first, link, rest = url.partition("::")
    return _join(first.rstrip("/") if not first.endswith("://") else first, name) + link + rest


def parent(url: str) -> tuple[str, str]:
    """Return the URL of the folder a file lies in, and the file's name; the inverse of `below`."""
    first, link, rest = url.partition("::")
    scheme, mark, path = first.rpartition("://")
    folder, _, name = path.rpartition("/")
    return f"{scheme}{mark}{folder}{link}{rest}", name


def _walk(system: Any, folder: str, root: str, url: str, met: Met, suffixes: frozenset[str]) -> Iterator[str]:
    try:
        entries = system.ls(folder, detail=True)
    except Exception as error:
        raise _failed(url, error) from error
    folders = []
    for entry in sorted(entries, key=lambda each: str(each["name"])):
        path = PurePosixPath(name := _beneath(str(entry["name"]), root))
        if not _beneath(str(entry["name"]), folder) or path.name.startswith(".") or ".." in path.parts:
            continue
        if _is_no_image_file(entry, root, name):
            met.links += bool(entry.get("islink"))
        elif entry["type"] == "directory":
            folders += [] if ignored(path.name) else [str(entry["name"]).rstrip("/")]
        elif path.suffix.lower() in suffixes:
            yield name
        else:
            met.others[path.suffix.lower() or "(no suffix)"] += 1
    for each in folders:
        yield from _walk(system, each, root, url, met, suffixes)


def _is_no_image_file(entry: dict[str, Any], root: str, name: str) -> bool:
    """Tell whether an entry of a folder of this machine is a pipe or the like, or a link to no file in it."""
    if entry.get("islink"):
        return leads_out(Path(root or "/"), name) or not Path(entry["name"]).is_file()
    return bool(entry["type"] == "other")


def _beneath(path: str, folder: str) -> str:
    """Return `path` relative to `folder`; '' where it does not lie below."""
    path = path.rstrip("/")
    if not folder:
        return path.lstrip("/")
    return path.removeprefix(folder + "/") if path.startswith(folder + "/") else ""


def _join(folder: str, name: str) -> str:
    return folder + name if not folder or folder.endswith("://") else f"{folder}/{name}"


def _content(system: Any, path: str) -> bytes | UnreadableImageError:
    from fsspec.archive import AbstractArchiveFileSystem

    for pause in (*PAUSES, None):
        try:
            if isinstance(system, AbstractArchiveFileSystem) and system.info(path)["size"] > LARGEST_UNPACKED:
                limit = f"the limit is {LARGEST_UNPACKED // 2**20:,} MiB"
                return UnreadableImageError(f"unpacks to too much: {limit} (decompression bomb?)")
            return bytes(system.cat_file(path))
        except (FileNotFoundError, KeyError):
            return UnreadableImageError("is not there")
        except PermissionError as error:  # of keys that ran out, for every image from now on
            return UnreachableImageError(f"cannot be read: {in_a_line(error)}")
        except IsADirectoryError as error:
            return UnreadableImageError(f"cannot be read: {in_a_line(error)}")
        except Exception as error:  # a driver may raise anything
            if pause is None:
                return UnreachableImageError(f"cannot be fetched: {in_a_line(error)}")
            time.sleep(pause)
    raise AssertionError("unreachable")


def _failed(url: str, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"{redacted(url)} does not exist: check the URL.")
    check = "Check the URL, the credentials and the connection, then start again."
    return InputError(f"{redacted(url)} cannot be read: {in_a_line(error)}. {check}")


def in_a_line(error: Exception) -> str:
    """Return what an error says, in one line of at most 200 characters, without what `redacted` hides."""
    return " ".join(redacted(str(error)).split())[:200].rstrip(".") or type(error).__name__
