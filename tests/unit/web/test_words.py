"""The page says nothing that the catalogue lacks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from manager import i18n
from manager.web.web_side import api, words

PAGE = api.PAGE_DIR
TEXT = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)*)"')
UNKNOWN_TEXT = re.compile(r"\bt\(\s*[`']")


def scripts() -> list[Path]:
    return sorted(PAGE.glob("*.js"))


def test_every_text_of_the_page_is_in_the_catalogue_and_no_other() -> None:
    output = {match for script in scripts() for match in TEXT.findall(script.read_text(encoding="utf-8"))}
    assert output == set(words.PAGE_TEXTS)
    assert not any(UNKNOWN_TEXT.search(script.read_text(encoding="utf-8")) for script in scripts())


def test_every_script_of_the_page_is_served() -> None:
    served = {name for name, media_type in api.FILES.items() if media_type == "text/javascript"}
    assert {script.name for script in scripts()} == served


def test_every_text_is_translated() -> None:
    with i18n.speaking("zh-TW"):
        same = {message for message, text in words.catalogue().items() if message == text}
    assert same == set()


def test_the_languages_of_two_readers_do_not_mix() -> None:
    with i18n.speaking("zh-TW"):
        assert i18n.language() == "zh-TW"
        with i18n.speaking("en"):
            assert words.catalogue()["Bots"] == "Bots"
        assert words.catalogue()["Bots"] != "Bots"
    assert i18n.language() == "en"


def test_every_file_of_the_page_is_served_and_no_other() -> None:
    assert {path.name for path in PAGE.iterdir() if path.is_file()} == {*api.FILES, "index.html", "docs.html"}


def test_a_library_that_was_not_got_is_an_empty_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(api, "PAGE_DIR", tmp_path)
    assert api.library_file("uplot.js") == b""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "uplot.js").write_bytes(b"var uPlot")
    assert api.library_file("uplot.js") == b"var uPlot"


def test_nothing_is_put_into_the_page_as_html() -> None:
    for script in (*scripts(), *(api.SHARED_DIR / name for name in api.SHARED)):
        text = script.read_text(encoding="utf-8")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"):
            assert way not in text, script
    assert "://" not in (PAGE / "page.css").read_text(encoding="utf-8")
