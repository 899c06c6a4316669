"""What a process frees: kept for its next batch, unless it is large."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory is managed otherwise here")

BATCHES = """
import resource, sys
import numpy as np
from feint.backends import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(3):
    np.empty(24 * 2**20, np.uint8).fill(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    small = np.empty(2**20, np.uint8)
    blocks = [np.empty(each * 2**20, np.uint8) for each in (22, 20, 18)]
    for each in blocks:
        each.fill(1)
    del blocks, each
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

RESIDENT = """
import sys
import numpy as np
from feint.backends import keep_freed_memory
from feint.backends.cgroup import MIB

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / MIB

def batch(mib, count):
    blocks = [np.ones(mib * 2**20, np.uint8) for _ in range(count)]
    small = [bytearray(size) for size in range(520, 4000, 8) for _ in range(9)]  # some stay, above the blocks
    return resident()

keep_freed_memory()
mib, count = map(int, sys.argv[1:])
before = resident()
first = batch(mib, count)
assert first - before > 0.9 * mib * count
"""
GROWN = RESIDENT + "print(max(batch(mib, count) for _ in range(10)) - first)"
KEPT = RESIDENT + "print(resident() - before)"


def printed(code: str, *arguments: str) -> float:
    found = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return float(found.stdout)


def test_the_next_batch_is_not_paged_in_again():
    assert printed(BATCHES, "kept") < 0.3 * printed(BATCHES, "by itself")


def test_what_is_kept_is_used_again():
    assert printed(GROWN, "8", "50") < 20


def test_large_blocks_are_returned_at_once():
    assert printed(KEPT, "40", "10") < 20
