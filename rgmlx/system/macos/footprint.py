"""The memory of this process as Activity Monitor shows it, asked of the system without another process.

`proc_pid_rusage` (libproc.h) fills a `struct rusage_info_v0` (sys/resource.h), the oldest and shortest form, which every
version of macOS since 10.9 knows. Its `ri_phys_footprint` counts what the GPU has been given and what was compressed,
which the resident size of `ps` leaves out.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from .. import macos

RUSAGE_INFO_V0 = 0


class RusageInfoV0(ctypes.Structure):
    """`struct rusage_info_v0` of sys/resource.h."""

    _fields_ = (
        ("ri_uuid", ctypes.c_uint8 * 16),
        ("ri_user_time", ctypes.c_uint64),
        ("ri_system_time", ctypes.c_uint64),
        ("ri_pkg_idle_wkups", ctypes.c_uint64),
        ("ri_interrupt_wkups", ctypes.c_uint64),
        ("ri_pageins", ctypes.c_uint64),
        ("ri_wired_size", ctypes.c_uint64),
        ("ri_resident_size", ctypes.c_uint64),
        ("ri_phys_footprint", ctypes.c_uint64),
        ("ri_proc_start_abstime", ctypes.c_uint64),
        ("ri_proc_exit_abstime", ctypes.c_uint64),
    )


def footprint() -> int | None:
    """Bytes of this process; None where the system does not tell, as on anything but a Mac."""
    if not macos.here():
        return None
    usage = RusageInfoV0()
    try:
        failed = _library().proc_pid_rusage(os.getpid(), RUSAGE_INFO_V0, ctypes.byref(usage))
    except (AttributeError, OSError, TypeError):
        return None
    return None if failed else int(usage.ri_phys_footprint) or None


def _library() -> Any:
    """The system's C library, which has libproc's functions."""
    return ctypes.CDLL(None)
