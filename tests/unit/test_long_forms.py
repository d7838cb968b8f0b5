"""Whatever only the long form holds is run by `make faults`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

SIGNS = re.compile(r'mark\.long_form|"--long"|from tests(\.cases)? import .*cases')
ROOT = Path(__file__).resolve().parents[2]


def test_make_faults_runs_every_file_that_has_a_long_form() -> None:
    command = ["make", "--no-print-directory", "--dry-run", "--old-file", ".venv/dev.stamp", "faults"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    run = [word for word in output.split() if word.startswith("tests/")]
    having = [
        path.relative_to(ROOT)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if path != Path(__file__) and SIGNS.search(path.read_text())
    ]
    assert having
    left_out = [str(path) for path in having if not any(path.is_relative_to(folder) for folder in run)]
    assert left_out == []
