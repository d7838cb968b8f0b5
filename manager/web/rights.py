"""Give up root's rights: run as a user that owns nothing."""

from __future__ import annotations

import ctypes
import os

WEB_UID = 10002
"""Neither the bots' (10001) nor the user `nobody`, who owns processes of other programs."""
PR_SET_NO_NEW_PRIVS = 38


def uid_of_web_side() -> int:
    """Return the web side's uid: one of its own where this process may give it, else this process's."""
    return WEB_UID if os.geteuid() == 0 and _can_become(WEB_UID) else os.geteuid()


def give_up(uid: int) -> None:
    """Become that user for good, without groups, and without a way to more rights. Raises OSError."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if uid == os.geteuid():
        return
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _can_become(uid: int) -> bool:
    """Try it in a child: a container's root may lack the right, or the uid."""
    child = os.fork()
    if child == 0:
        try:
            give_up(uid)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0
