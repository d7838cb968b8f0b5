"""The docs are tested: every command stands in the READMEs, every example parses, every link leads somewhere, both languages keep step."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from manager import __version__
from manager.cli import parsers
from manager.cli.command_table import COMMANDS
from manager.errors import OK

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh-TW.md")
PAGES = sorted(
    str(each.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "docker/**/*.md", "tests/**/*.md")
    for each in ROOT.glob(pattern)
)
WITH_EXAMPLES = [each for each in PAGES if each.startswith(("README", "docs/"))]
IN_TWO_LANGUAGES = [each for each in PAGES if Path(ROOT, each).with_suffix(".zh-TW.md").exists()]

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
PROMPT = re.compile(r"[$#] (.*)")
MANAGER = frozenset({"manager", ".venv/bin/manager"})
OPERATORS = "|&;<>"
ANY_COMMAND = "status"


class Example(NamedTuple):
    """The words after `manager` as they stand in a page."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def text_of(page: str) -> str:
    return Path(ROOT, page).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """Without code blocks, in which `#` begins a comment and `[…](…)` is no link."""
    return FENCE.sub("", text)


def shell_lines(text: str) -> Iterator[str]:
    """What a reader may type: whole `sh` blocks, the prompts of `console` blocks, and code within a sentence."""
    for language, content in FENCE.findall(text):
        lines = [line.strip() for line in content.replace("\\\n", " ").splitlines()]
        if language == "sh":
            yield from lines
        elif language == "console":
            yield from (match[1] for line in lines if (match := PROMPT.match(line)))
    yield from CODE.findall(prose(text))


def manager_words(line: str) -> Iterator[list[str]]:
    """The words after each `manager` of a line; what is optional (`[ID…]`) counts as given, `…` alone as nothing."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=OPERATORS)
    lexer.whitespace_split = True
    found: list[str] | None = None
    for word in lexer:
        if word[0] in OPERATORS:
            if found is not None:
                yield found
            found = None
        elif found is not None:
            if bare := word.strip("[]").rstrip("…"):
                found.append(bare)
        elif word in MANAGER:
            found = []
    if found is not None:
        yield found


def examples(page: str) -> list[Example]:
    """Every command line of the manager's in a page, each once."""
    lines = [line for line in shell_lines(text_of(page)) if MANAGER.intersection(line.split())]
    found = [Example(page, tuple(words)) for line in lines for words in manager_words(line) if words]
    return list(dict.fromkeys(found))


def anchors(text: str) -> set[str]:
    """The names by which the headings of a page are linked to: lower case, no punctuation, blanks as hyphens."""
    titles = [title for _level, title in HEADING.findall(prose(text))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", READMES)
def test_every_command_stands_in_the_table(page: str) -> None:
    cells = [line.split(" | ")[0] for line in text_of(page).splitlines() if line.startswith("| ")]
    shown = {
        parsers.words(words)[0]
        for cell in cells
        for code in CODE.findall(cell)
        for words in manager_words(code)
        if words
    }
    assert sorted(set(COMMANDS) - shown) == []


@pytest.mark.parametrize("example", [each for page in WITH_EXAMPLES for each in examples(page)], ids=str)
def test_every_example_parses(example: Example, capsys: pytest.CaptureFixture[str]) -> None:
    if " ".join(example.words) in COMMANDS:  # a sentence that names the command
        return
    words = [ANY_COMMAND if word == "COMMAND" else word for word in example.words]
    assert exit_code(words) == OK, capsys.readouterr().err


def exit_code(words: list[str]) -> int | str | None:
    """The parser's; `--help` ends it, too."""
    try:
        parsers.parser().parse_args(parsers.words(words))
    except SystemExit as ended:
        return ended.code
    return OK


def test_the_examples_are_found() -> None:
    """In blocks and sentences, on two lines, behind a prompt, before `>` and between `&&`: so that none is tested by not being seen."""
    assert {" ".join(each.words) for each in examples("docs/operating.md")} >= {
        "new --template perp_grid --id bp_btc_01 --symbol BTC_USDC_PERP"
        " --lower 90000 --upper 110000 --quantity 0.001 --max-position 0.01",
        "--lang zh-TW config schema",
        "logs --grep (?i)filled|cancel --since 2026-01-31 08:00 --until 2026-01-31 09:00",
        "rollback ID",
        "halt",
        "resume",
        "backup --keep 48",
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for target in LINK.findall(prose(text_of(page))):
        file, _hash, anchor = target.partition("#")
        if "://" in file:
            continue
        found = Path(ROOT, page).parent / file if file else Path(ROOT, page)
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", IN_TWO_LANGUAGES)
def test_both_languages_keep_step(page: str) -> None:
    ours, theirs = text_of(page), text_of(str(Path(page).with_suffix(".zh-TW.md")))
    assert levels(theirs) == levels(ours)
    assert languages_of_blocks(theirs) == languages_of_blocks(ours)


def levels(text: str) -> list[str]:
    """Of the headings, in order: `#`, `##` …"""
    return [level for level, _title in HEADING.findall(prose(text))]


def languages_of_blocks(text: str) -> list[str]:
    """Of the code blocks, in order."""
    return [language for language, _content in FENCE.findall(text)]


def test_there_are_pages_in_two_languages() -> None:
    assert set(IN_TWO_LANGUAGES) == {"README.md", "docs/migration.md", "docs/operating.md"}


def test_the_changelog_begins_with_this_version() -> None:
    assert re.findall(r"^## (\S+),", text_of("CHANGELOG.md"), re.MULTILINE)[0] == __version__
