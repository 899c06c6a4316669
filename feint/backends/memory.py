"""How much memory this process and its workers take."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, final

from feint.backends.cgroup import MIB, memory_limit_mib

KIB_PER_MIB = 1024
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD


def keep_freed_memory() -> None:
    """Keep freed blocks of less than 32 MiB for what comes next, where glibc manages memory.

    By itself it returns what one batch has freed to the system, which hands it out again, page by page and zeroed, for
    the next: the networks of a small run then score a third to a half fewer images a second. Larger blocks go back at
    once, and of the others what exceeds 64 MiB, if nothing in use lies above it: a process may keep as much as it once
    needed, no more.
    """
    _set_malloc(trim=64 * 2**20, mmap=32 * 2**20)


def give_back_freed_memory() -> None:
    """Return freed memory to the system at once, blocks of 8 MiB and more one by one, where glibc manages memory.

    By itself it raises that limit to 32 MiB when the first such block is freed: a service that decodes large images in
    several threads then grows to several times what it needs, and never shrinks.
    """
    _set_malloc(trim=128 * 2**10, mmap=8 * 2**20)


def _set_malloc(*, trim: int, mmap: int) -> None:
    """Set from how many free bytes on memory is returned, and from how many on a block is the system's own."""
    with suppress(OSError, AttributeError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(TRIM_THRESHOLD, trim)
        mallopt(MMAP_THRESHOLD, mmap)


@final
class PeakMemory:
    """Measures the peak resident memory, in MiB, of this process and all its descendants within a `with` block.

    A thread samples every `interval` seconds; memory shared by several of the processes (libraries, mapped files) is
    counted once. The processes are read one after the other, and what one of them takes over from another meanwhile
    would count twice: a new peak is read again, and the lower of both counts. Where there is no /proc (macOS), it is
    this process's peak plus that of its largest finished child, both since they started; on Windows 0.

    Fails when: a peak is shorter than the interval.

    Cost: 5 ms per sample, and 5 ms per GiB; twice that at a new peak.

    Example:
        >>> with PeakMemory() as peak:
        ...     ballast = bytearray(64 * 2**20)
        >>> peak.mib > 64
        True
    """

    def __init__(self, *, interval: float = 0.5) -> None:
        self.mib = 0.0
        self._interval = interval
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._watch, name="feint-memory", daemon=True)

    def __enter__(self) -> Self:
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._done.set()
        self._sampler.join()

    def _watch(self) -> None:
        while True:
            last = self._done.wait(self._interval)
            found = _resident_mib()
            if found > self.mib:
                self.mib = max(self.mib, min(found, _resident_mib()))
            if last:
                return


def memory_total_and_available_mib(root: Path = Path("/")) -> tuple[float, float] | None:
    """Return the memory there is and the memory to be had, in MiB, within the container's limit; None if unknown."""
    try:
        lines = (root / "proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    kib = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
    limit = memory_limit_mib(root)
    total, available = kib["MemTotal"] / KIB_PER_MIB, kib["MemAvailable"] / KIB_PER_MIB
    return (total, available) if limit is None else (min(total, limit), min(available, limit))


def _resident_mib() -> float:
    if not Path("/proc/self/stat").exists():
        return _resource_mib()
    return sum(_process_mib(pid) for pid in _family())


def _family() -> list[int]:
    """Return the ids of this process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            # The name of the program, in brackets, may hold anything; the parent's id is the second word after it.
            words = _read(f"/proc/{entry.name}/stat").rpartition(")")[2].split()
            if words:
                children.setdefault(int(words[1]), []).append(int(entry.name))
    family = [os.getpid()]
    for pid in family:
        family += children.get(pid, [])
    return family


def _process_mib(pid: int) -> float:
    """Return a process's proportional set size, or its resident one where that cannot be read; 0 if it has ended."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / KIB_PER_MIB
    pages = _read(f"/proc/{pid}/statm").split()
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / MIB if pages else 0.0


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""


def _resource_mib() -> float:
    try:
        import resource
    except ImportError:
        return 0.0
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak / (MIB if sys.platform == "darwin" else KIB_PER_MIB)
