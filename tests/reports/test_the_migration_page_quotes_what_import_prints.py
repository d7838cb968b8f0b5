"""An old user follows docs/migration.md line by line: what `import` prints is what the page quotes.

The Chinese page quoted 最初登記於, where the program prints 最初登記時間, and a `.env` that none can have.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from manager.cli.main import main
from manager.util import prompt
from tests.builders import a_config
from tests.oldsystem import OldFolder

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {"en": "migration.md", "zh-TW": "migration.zh-TW.md"}
EXCHANGE = {"api_key": "${BACKPACK_KEY}", "secret_key": "${BACKPACK_SECRET}", "testnet": False}
GRID = {"grid_upper_price": 180, "grid_lower_price": 140}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the page's user, with the fleet of its second step."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("BACKPACK_KEY", "BACKPACK_SECRET", "BACKPACK_WS_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "fleet" / "config" / "active").mkdir(parents=True)
    text = 'name = "fleet"\ndata_dir = "."\nbot_dir = "../old-bot"\n'
    (tmp_path / "fleet" / "config" / "fleet.toml").write_text(text)
    return tmp_path


@pytest.fixture
def old(home: Path) -> Iterator[OldFolder]:
    """The page's old folder: one instance runs, another one has its key in clear text."""
    old = OldFolder(home / "old")
    daemon = {"python_path": ".venv/bin/python3"}
    config = a_config("bp_sol_01", 5001, daemon_config=daemon, strategy_config=GRID)
    old.add("bp_sol_01", {**config, "exchange_config": EXCHANGE})
    config = a_config("bp_eth_02", 5002, metadata={"symbol": "ETH_USDC_PERP"})
    old.add("bp_eth_02", {**config, "exchange_config": {"api_key": "Zm9vYmFyZm9vYmFyZm9vYmFy"}})
    log = old.folder / "logs" / "bp_sol_01" / date.today().isoformat() / "bot_stdout.log"
    log.write_text("INFO price: 181.3\n")
    os.utime(log, (1764502198, 1764502198))
    text = "BACKPACK_KEY=a2V5a2V5\nBACKPACK_SECRET=c2VjcmV0\nBACKPACK_WS_URL=wss://example.org\n"
    (old.folder / ".env").write_text(text)
    with old.running("bp_sol_01"):
        yield old


@pytest.mark.parametrize("language", PAGES)
def test_the_plan_and_the_table(old: OldFolder, capsys: pytest.CaptureFixture[str], language: str) -> None:
    line = ["--lang", language, "--project-dir", str(old.folder.parent / "fleet")]
    main([*line, "import", str(old.folder), "--stop-old", "--dry-run"])
    printed = _as_on_the_page(capsys.readouterr().out, old.folder.parent)
    assert printed == _example(language, 0)


@pytest.mark.parametrize(("language", "answer"), [("en", "yes"), ("zh-TW", "是")])
def test_the_evenings_question_and_what_follows_it(
    old: OldFolder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    answer: str,
) -> None:
    monkeypatch.setattr(prompt, "is_possible", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{answer}\n"))
    line = ["--lang", language, "--project-dir", str(old.folder.parent / "fleet")]
    main([*line, "import", str(old.folder), "bp_sol_01", "--stop-old"])
    output = capsys.readouterr()
    printed = _as_on_the_page(output.out, old.folder.parent)
    (asked,) = [line for line in output.err.splitlines() if "[" in line]
    quoted = _example(language, 1)
    (gap,) = [number for number, line in enumerate(quoted) if line == "…"]
    assert quoted[gap + 1] == f"{asked}{answer}"
    assert quoted[:gap] == printed[:gap]
    done = [line for line in quoted[gap + 2 :] if line]
    start = printed.index(done[0])
    assert printed[start : start + len(done)] == done


def _example(language: str, number: int) -> list[str]:
    """Return one of the things that the page shows as printed."""
    text = (DOCS / PAGES[language]).read_text()
    block = text.split("```console\n")[number + 1].split("   ```", 1)[0]
    return [" ".join(line.split()) for line in block.splitlines()]


def _as_on_the_page(output: str, home: Path) -> list[str]:
    """Put the page's folder, processes, size and moment for those of this run."""
    output = output.replace(str(home), "/home/me")
    output = re.sub(r"\b\d+, \d+([)）])", r"4711, 4712\1", output)
    output = re.sub(r"\d+ kB", "420 kB", output)
    output = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2025-11-30 19:29:58", output)
    return [" ".join(line.split()) for line in output.splitlines()]
