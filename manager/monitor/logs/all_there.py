"""Tell without opening a file that an instance's dated files have no line that the engine has not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from manager.monitor.logs.lines import SUPERVISOR_PREFIX, LogLine

MOST_ENTRIES = 1000
"""A bot can make any number of files in its folder. Whoever has more of them is read as ever."""


def are_all(folder: Path, lines: Iterable[LogLine]) -> bool:
    """Return whether the files are as long as these lines, which are all that the engine has.

    The supervisor writes the same bytes to both, to the file first: a file that has older lines is longer. So
    it is where one of them is compressed, or is anything else: then this is False, and they are read.
    """
    left = {"bot_stdout.log": 0, "bot_stderr.log": 0}
    for line in lines:
        if not line.text.startswith(SUPERVISOR_PREFIX):
            left[f"bot_{line.stream}.log"] += len(line.text) + 1
    entries = 0
    try:
        for day in os.scandir(folder):
            entries += 1
            if not day.is_dir(follow_symlinks=False):
                continue
            for file in os.scandir(day):
                entries += 1
                name = next((name for name in left if file.name.startswith(name)), None)
                if name is not None:
                    status = file.stat(follow_symlinks=False)
                    left[name] -= status.st_size
                    if file.name.endswith(".gz") and status.st_size:
                        return False
                if entries > MOST_ENTRIES:
                    return False
    except FileNotFoundError:
        return not any(left.values())
    except OSError:
        return False
    return not any(left.values())
