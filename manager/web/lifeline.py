"""End a side when its keeper has ended, however that came: the pipe between them then closes."""

from __future__ import annotations

import os
import signal
import threading


def hold(descriptor: int) -> None:
    """Tell this process to end when the other end of the pipe is closed."""
    threading.Thread(target=_wait, args=(descriptor,), name="lifeline", daemon=True).start()


def _wait(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
