"""What a guess of a password costs where no test has made it cheap."""

from __future__ import annotations

import subprocess
import sys

from tests.fleet import ROOT


def test_a_guess_costs_what_owasp_asks_for() -> None:
    """With p = 5, n = 2^14 and r = 8: one of its equal choices."""
    program = "from manager.web.access import COST; print(COST['n'], COST['r'], COST['p'])"
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.split() == [str(1 << 14), "8", "5"]
