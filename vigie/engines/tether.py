"""Exec a program that dies with its parent, as an unprivileged user, with as many files as it may open.

Run as a script: `python -I -S tether.py PARENT SIGNAL UID GID PROGRAM ARGUMENT…` (a dash stands for none). It stands
between parent and program because the death signal must be asked for after the user is changed (changing it clears
the signal), because Python code between fork and exec can deadlock, and because the unprivileged user may not be able
to read this checkout. It imports the standard library only, and little of it.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
# One connection per terminal and some more; root may raise the limit that far, others get what they may have.
OPEN_FILES = 65_536


def main(parent: str, death_signal: str, uid: str, gid: str, *command: str) -> None:
    """Prepare this process, then become the program."""
    libc = ctypes.CDLL(None, use_errno=True)
    _raise_open_files()
    if uid != "-":
        os.setgroups([int(gid)])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if death_signal != "-":
        if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
        # The parent may have died before the line above: nobody would send the signal then.
        if os.getppid() != int(parent):
            sys.exit(1)
    # Python ignores SIGPIPE; what it execs would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execv(command[0], command)


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(hard, OPEN_FILES) if hard != resource.RLIM_INFINITY else OPEN_FILES
    for limit in (wanted, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), max(hard, limit)))
        except (ValueError, OSError):
            continue
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
