"""What a guess of a password or of a credential costs where no test has made it cheap."""

from __future__ import annotations

import hashlib
import subprocess
import sys

from manager.ops.move import dotenv_lines
from tests.fleet import ROOT


def test_a_guess_costs_what_owasp_asks_for() -> None:
    """With p = 5, n = 2^14 and r = 8: one of its equal choices."""
    program = "from manager.web.access import COST; print(COST['n'], COST['r'], COST['p'])"
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.split() == [str(1 << 14), "8", "5"]


def test_a_guess_of_a_credential_by_its_fingerprint_costs_a_hundred_thousand_rounds() -> None:
    slow = hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 100_000).hex()
    assert dotenv_lines.fingerprint("salt", "secret") == slow
