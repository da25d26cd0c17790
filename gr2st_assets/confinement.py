"""What the operating system keeps from this process, for good: writing, other programs, the network, more resources.

Belongs here: Landlock and resource limits. Does not belong here: what the process does (``sandbox_child``).

Landlock binds the calling thread and those it starts later, so it comes before any library that starts threads. There
is one rule set and no rule in it: what it handles is forbidden everywhere, and reading is not handled, since which
files SQL may read is settled by DuckDB's own settings.
"""

import ctypes
import math
import sys

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same on every architecture
_NO_NEW_PRIVILEGES = 38
_ASK_VERSION = 1
_FIRST_WITH_TRUNCATE = 3
_FIRST_WITH_NETWORK = 4
_EXECUTE_WRITE = 0b11  # bits 0 and 1; bits 2 and 3 are reading files and folders
_REMOVE_MAKE_MOVE_TRUNCATE = ((1 << 15) - 1) & ~0b1111
_BIND_CONNECT = 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64), ("handled_access_net", ctypes.c_uint64))


def forbid_changes(*, network: bool) -> bool:
    """Forbid this process to write, truncate, make, move or remove any file and to start a program.

    Parameters
    ----------
    network
        Whether TCP connections stay allowed; else they are forbidden where the kernel can (6.7 and later).

    Returns
    -------
    Whether it is so; False where the system has no Landlock that covers truncation (Linux before 6.2, others).
    """
    if sys.platform != "linux":
        return False
    system = ctypes.CDLL(None)
    version = system.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    if version < _FIRST_WITH_TRUNCATE:
        return False
    connections = 0 if network or version < _FIRST_WITH_NETWORK else _BIND_CONNECT
    rules = _Ruleset(_EXECUTE_WRITE | _REMOVE_MAKE_MOVE_TRUNCATE, connections)
    ruleset = system.syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules), 0)
    if ruleset < 0 or system.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return bool(system.syscall(_RESTRICT_SELF, ruleset, 0) == 0)


def limit_resources(memory_mb: int, cpu_s: float) -> None:
    """Bound address space and processor time from now on, and allow no byte to be written to a file.

    Parameters
    ----------
    memory_mb
        Address space in all, in MiB; libraries then get a MemoryError instead of the machine. Linux only.
    cpu_s
        Processor seconds more than were used so far, rounded up to whole ones; then the process is ended.
    """
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    end = math.ceil(used.ru_utime + used.ru_stime + cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (end, end + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
