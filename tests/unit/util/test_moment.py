"""Moments since boot, measured by processes that are started here, with a clock that is set meanwhile too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from manager.util import moment
from manager.util.moment import Moment
from tests.libfaketime import LIBFAKETIME

ASK = """
import json
from manager.util import moment
print(json.dumps([moment.of_this_process(), moment.now()]))
"""


def asked(code: str = ASK, **environ: str) -> tuple[Moment, Moment]:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environ})
    started, now = json.loads(done.stdout)
    return Moment(*started), Moment(*now)


def test_it_is_the_start_and_not_the_question() -> None:
    before = moment.now()
    time.sleep(0.02)
    started, now = asked(f"import time; time.sleep(1)\n{ASK}")
    time.sleep(0.02)
    assert started.is_after(before)
    assert now.uptime_s >= started.uptime_s + 1
    assert moment.now().is_after(now)
    assert not started.is_after(now)
    assert not now.is_after(now)


@pytest.mark.skipif(LIBFAKETIME is None, reason="needs the package faketime")
@pytest.mark.parametrize("offset", ["+400d", "-400d"])
def test_a_clock_that_is_set_moves_nothing(offset: str) -> None:
    before = moment.now()
    time.sleep(0.02)
    started, now = asked(LD_PRELOAD=str(LIBFAKETIME), FAKETIME=offset)
    time.sleep(0.02)
    assert started.is_after(before)
    assert moment.now().is_after(now)


def test_of_another_boot_nothing_is_known() -> None:
    here = moment.now()
    for other in (Moment("0", 1e9), Moment("0", 0.0), Moment()):
        assert not other.is_after(here)
        assert not here.is_after(other)


def test_without_proc_it_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PROCESS", "THREAD", "BOOT_ID"):
        with monkeypatch.context() as patch:
            patch.setattr(moment, name, tmp_path / "nothing")
            assert Moment() in (moment.of_this_process(), moment.now())
