"""What a container's control group allows this process, read from version 1 and version 2 hierarchies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MIB = 2**20


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the cores this process may keep busy, the least of its group and the groups above; None: no limit.

    Args:
        root: where `proc` and `sys` are found.
    """
    quotas = []
    for directory in _groups(root, "cpu"):
        text = _read(directory / "cpu.max").split()
        if not text:
            text = [_read(directory / "cpu.cfs_quota_us"), _read(directory / "cpu.cfs_period_us")]
        if text[0].isdigit() and text[1].isdigit() and int(text[0]) > 0:
            quotas.append(int(text[0]) / int(text[1]))
    return min(quotas, default=None)


def memory_limit_mib(root: Path = Path("/")) -> float | None:
    """Return the memory this process may use, in MiB, the least of its group and the groups above; None: no limit."""
    texts = [
        _read(directory / name)
        for directory in _groups(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
    ]
    # Version 1 writes "no limit" as a number near 2^63.
    return min((int(text) / MIB for text in texts if text.isdigit() and int(text) < 2**60), default=None)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield this process's group and those above it, in every hierarchy that may carry `controller`.

    A container often sees its own group mounted at the top and its host's path in /proc: paths that are absent here
    read as empty, and the top is always among them.
    """
    top = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = top / controller if controllers else top
        group = mount / path.strip("/")
        yield group
        yield from (parent for parent in group.parents if parent.is_relative_to(mount))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
