"""What this machine can give a model: processor cores and memory."""

from __future__ import annotations

import os
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_MEMORY = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_FEW_CPUS = 4


def cores() -> int:
    """Processor cores this process may run on, at least 1.

    Two hardware threads of one core count once, as computing gains nothing from the second; where
    there are at most four processors all of them count, as virtual machines often call whole cores
    hardware threads.
    """
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not on macOS and Windows
        return max(1, os.cpu_count() or 1)
    if len(allowed) <= _FEW_CPUS:
        return len(allowed)
    return len({_core_of(cpu) for cpu in allowed})


def _core_of(cpu: int) -> str:
    try:
        return (_CPUS / f"cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)


def total_memory() -> int | None:
    """Bytes of memory this process may use at most; `None` where the system doesn't say."""
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
    except OSError:
        return installed
    return min(installed, int(limit)) if limit.isdigit() else installed


def free_memory() -> int | None:
    """Bytes of memory that can be had without swapping; `None` where the system doesn't say."""
    amounts = [amount for amount in (_system_memory(), _container_memory()) if amount is not None]
    return min(amounts, default=None)


def _system_memory() -> int | None:
    try:
        for line in _MEMORY.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        # Without a figure for free memory, half of all there is.
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _container_memory() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = (_CGROUP / "memory.current").read_text().strip()
    except OSError:
        return None
    return max(0, int(limit) - int(used)) if limit.isdigit() else None
