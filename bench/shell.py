"""Run other programs, each in a process group of its own, so that nothing of it outlives an interrupted
benchmark.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 900
"""Two hundred containers on a small machine take a minute or two; nothing here takes a quarter of an hour."""


class CommandFailed(Exception):
    """Signal that a program ended with a code that it should not have."""


_is_interrupted = threading.Event()
_running: set[subprocess.Popen[str]] = set()
_of_thread = threading.local()


@dataclass(frozen=True)
class Done:
    """Hold what a program did. `seconds` from its start until it was gone."""

    seconds: float
    code: int
    out: str


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    codes: Sequence[int] = (0,),
    timeout: float = TIMEOUT_S,
) -> Done:
    """Run it to its end.

    Its output goes through a pipe, as for a program that reads it. Raises CommandFailed.
    """
    words = [str(word) for word in command]
    started = time.perf_counter()
    with subprocess.Popen(
        words,
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            _running.add(process)
            raise_if_interrupted()
            out, err = process.communicate(timeout=timeout)
            raise_if_interrupted()
        except subprocess.TimeoutExpired as error:
            _end(process)
            raise CommandFailed(f"{_shown(words)} took longer than {timeout:.0f} s") from error
        except BaseException:
            _end(process)
            raise
        finally:
            _running.discard(process)
    seconds = time.perf_counter() - started
    if process.returncode not in codes:
        tail = " | ".join((err.strip() or out.strip()).splitlines()[-3:])
        raise CommandFailed(f"{_shown(words)} ended with {process.returncode}: {tail}")
    return Done(seconds, process.returncode, out)


def ignore_interruptions() -> None:
    """Have no further Ctrl-C end what tidies up after the first.

    By a handler: a program that is started with SIGTERM ignored can't be ended by it before it has one.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)


def interrupt_threads() -> None:
    """Interrupt all threads but the main one, as Ctrl-C does that one: each once, so that it can tidy up."""
    _is_interrupted.set()
    for process in [*_running]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def raise_if_interrupted(*, always: bool = False) -> None:
    """Raise KeyboardInterrupt in a thread that has to end: the first time, or always."""
    is_main = threading.current_thread() is threading.main_thread()
    if _is_interrupted.is_set() and not is_main and (always or not hasattr(_of_thread, "is_told")):
        _of_thread.is_told = True
        raise KeyboardInterrupt


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _shown(words: Sequence[str]) -> str:
    text = " ".join(words)
    return text if len(text) < 120 else f"{text[:117]}…"
