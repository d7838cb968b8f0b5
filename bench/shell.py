"""Run other programs, each in a process group of its own, so that nothing of it outlives an interrupted
benchmark.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 900
"""Two hundred containers on a small machine take a minute or two; nothing here takes a quarter of an hour."""


class CommandFailed(Exception):
    """Signal that a program ended with a code that it should not have."""


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
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            _end(process)
            raise CommandFailed(f"{_shown(words)} took longer than {timeout:.0f} s") from error
        except BaseException:
            _end(process)
            raise
    seconds = time.perf_counter() - started
    if process.returncode not in codes:
        tail = " | ".join((err.strip() or out.strip()).splitlines()[-3:])
        raise CommandFailed(f"{_shown(words)} ended with {process.returncode}: {tail}")
    return Done(seconds, process.returncode, out)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _shown(words: Sequence[str]) -> str:
    text = " ".join(words)
    return text if len(text) < 120 else f"{text[:117]}…"
