"""`make fresh`: which rows are run again, and what a row inherits from this machine.

No machine is booted here.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.fresh import inherit, results
from scripts.fresh.rows import RELEASES, ROWS
from scripts.fresh.steps import Done

UP, TEST = Done("make up", 180, ""), Done("make test", 600, "")


def test_every_row_has_a_name_of_its_own_and_a_known_release() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert {row.suite for row in ROWS} == RELEASES.keys()


def test_a_row_that_passed_with_these_files_is_not_run_again(tmp_path: Path) -> None:
    results.write(tmp_path / "row.json", "tree", [UP, TEST])
    assert results.passed(tmp_path / "row.json", "tree", {"make up"}) == [UP, TEST]


@pytest.mark.parametrize(
    ("tree", "steps"),
    [("other tree", {"make up"}), ("tree", {"make up", "make test"})],
    ids=["files", "steps"],
)
def test_other_files_or_more_steps_are_run(tmp_path: Path, tree: str, steps: set[str]) -> None:
    results.write(tmp_path / "row.json", "tree", [UP])
    assert results.passed(tmp_path / "row.json", tree, steps) == []


def test_a_broken_record_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "row.json").write_text("{")
    assert results.passed(tmp_path / "row.json", "tree", {"make up"}) == []


def test_pips_certificates_and_folders_are_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index" / "simple").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    (tmp_path / "ca.pem").touch()
    index = f"file://{tmp_path}/index/simple https://packages.example/simple"
    (tmp_path / "pip.conf").write_text(
        f"[global]\nextra-index-url = {index}\ncert = {tmp_path}/ca.pem\nfind-links = {tmp_path}/wheels\n"
    )
    monkeypatch.setattr(inherit, "PIP_FILES", (str(tmp_path / "pip.conf"),))
    monkeypatch.setattr(inherit, "_output", lambda *_: [])
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    inherited = inherit.from_this_machine()
    assert inherited.ca == tmp_path / "ca.pem"
    assert inherited.pip["global"]["cert"] == inherit.CA_IN_ROW
    assert inherited.pip["global"]["extra-index-url"] == index
    assert inherited.binds == {tmp_path / "index", tmp_path / "wheels"}
    assert inherited.environ == {"https_proxy": "http://proxy.example:3128"}


def test_apts_proxies_are_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").touch()
    dump = [
        'APT::Install-Recommends "1";',
        'Acquire::http::Proxy "http://proxy.example:3128";',
        f'Acquire::https::CaInfo "{tmp_path}/ca.pem";',
    ]
    monkeypatch.setattr(inherit, "PIP_FILES", ())
    monkeypatch.setattr(inherit, "_output", lambda *_: dump)
    assert inherit.from_this_machine().apt == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        f'Acquire::https::CaInfo "{inherit.CA_IN_ROW}";',
    ]
