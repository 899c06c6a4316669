"""The one owner of threads: the cores really available, divided once among the workers.

Two trainings with two threads each on two cores run several times slower than one after the other: threads that wait
for one another spin on the cores they wait for. So nothing else in Feint sets a number of threads, and waiting threads
sleep (OMP_WAIT_POLICY), because other programs may use the same cores.
"""

from __future__ import annotations

import os
from pathlib import Path

from feint.backends.cgroup import cpu_quota
from feint.core.errors import SettingError

CAP = "FEINT_CORES"
WAIT_POLICY = "OMP_WAIT_POLICY"
LIBRARY_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def core_limits(root: Path = Path("/")) -> dict[str, int]:
    """Return what limits the cores of this process: name of the limit -> cores, at least 1.

    "machine" is the number of cores there are, "affinity" those this process may run on, "cgroup" its container's
    quota, rounded down, "FEINT_CORES" the environment variable. A limit that is not set is left out.

    Raises: SettingError if FEINT_CORES is not a positive whole number.
    """
    limits = {"machine": os.cpu_count() or 1}
    if hasattr(os, "process_cpu_count"):
        limits["affinity"] = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        limits["affinity"] = len(os.sched_getaffinity(0))
    quota = cpu_quota(root)
    if quota is not None:
        limits["cgroup"] = max(1, int(quota))
    cap = os.environ.get(CAP, "")
    if cap:
        if not cap.isdecimal() or int(cap) < 1:
            raise SettingError(
                f"the environment variable {CAP} must be a whole number of cores, at least 1: got {cap!r}."
            )
        limits[CAP] = int(cap)
    return limits


def available_cores(root: Path = Path("/")) -> int:
    """Return the cores this process may keep busy: the least of `core_limits`.

    Raises: SettingError if FEINT_CORES is not a positive whole number.
    """
    return min(core_limits(root).values())


def divide(cores: int, workers: int) -> int:
    """Return the threads of each of `workers`, at least 1, so that together they use at most `cores` where that can be.

    Example:
        >>> divide(8, 3), divide(2, 4)
        (2, 1)
    """
    return max(1, cores // workers)


def thread_environment(threads: int) -> dict[str, str]:
    """Return the environment variables that hold a new process, Feint in it included, to `threads`."""
    return dict.fromkeys((*LIBRARY_VARIABLES, CAP), str(threads)) | {
        WAIT_POLICY: os.environ.get(WAIT_POLICY, "PASSIVE")
    }


def limit_later_imports(threads: int) -> None:
    """Hold torch, OpenMP and BLAS to `threads` when they are imported, unless the environment says anything of them.

    By themselves they count the machine's cores, of which a container may have few.
    """
    if not any(name in os.environ for name in LIBRARY_VARIABLES):
        os.environ |= dict.fromkeys(LIBRARY_VARIABLES, str(threads))


def limit_threads(threads: int) -> None:
    """Hold this process's torch, OpenMP and BLAS to `threads`.

    Call it in the thread that computes, and before torch is first imported: only then do waiting threads sleep.
    """
    os.environ.setdefault(WAIT_POLICY, "PASSIVE")
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    threadpool_limits(limits=threads)
