"""Hold the documentation to the program: commands, examples, links, named files, both languages, and the
width of its lines.
"""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from wcwidth import wcswidth  # type: ignore[import-untyped]

from manager import __version__, errors, i18n
from manager.cli import parsers
from manager.cli.closing_table import COLUMNS as IMPORT_COLUMNS
from manager.cli.command_table import COMMANDS
from manager.cli.commands import history
from manager.cli.commands.close import COLUMNS as CLOSE_COLUMNS
from manager.cli.commands.halt import COLUMNS as HALT_COLUMNS
from manager.cli.commands.swarm import COLUMNS as SWARM_COLUMNS
from manager.errors import OK
from manager.fleet.display import PS_COLUMNS
from manager.monitor.stats.columns import COLUMNS as STATS_COLUMNS
from manager.util import text_table
from manager.util.interrupts import Interruption

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh-TW.md")
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "docker/**/*.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
WITH_EXAMPLES = [path for path in PAGES if path.startswith(("README", "docs/"))]
FOR_CONTRIBUTORS = ("CONTRIBUTING.md", "docs/architecture.md")
"""These are in English only, and name files and classes of the source."""
IN_TWO_LANGUAGES = [
    page
    for page in (*WITH_EXAMPLES, "docker/README.md", "docker/bot/README.md")
    if not page.endswith(".zh-TW.md") and page not in FOR_CONTRIBUTORS
]
IN_NO_TASK = {"init", "export", "host list", "host live"}
"""Commands of which the tables of the READMEs say all there is to say."""
WIDTH = 120
"""Terminal columns of a line of prose. Tables and code blocks cannot be wrapped."""

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w.*-]+(/[\w.*-]+)*/|[\w.*-]+(/[\w.*-]+)+|[\w-]+\.(py|md|toml|lock|json|yaml|sh)")
"""What is taken for a path from the project folder: a folder with a slash at its end, a file in a folder,
or one at the top.
"""
CLASS = re.compile(r"(?:[A-Z][a-z]+){2,}")
CLASS_STATEMENT = re.compile(r"^(?:class )?([A-Z]\w+)(?=\(|:| = )", re.MULTILINE)
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
    """What a reader may type: whole `sh` blocks, the prompts of `console` blocks, and code within a
    sentence.
    """
    for language, content in FENCE.findall(text):
        lines = [line.strip() for line in content.replace("\\\n", " ").splitlines()]
        if language == "sh":
            yield from lines
        elif language == "console":
            yield from (match[1] for line in lines if (match := PROMPT.match(line)))
    yield from CODE.findall(prose(text))


def manager_words(line: str) -> Iterator[list[str]]:
    """The words after each `manager` of a line; what is optional (`[ID…]`) counts as given, `…` alone as
    nothing.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=OPERATORS)
    lexer.whitespace_split = True
    words: list[str] | None = None
    for word in lexer:
        if word[0] in OPERATORS:
            if words is not None:
                yield words
            words = None
        elif words is not None:
            if bare := word.strip("[]").rstrip("…"):
                words.append(bare)
        elif word in MANAGER:
            words = []
    if words is not None:
        yield words


def examples(page: str) -> list[Example]:
    """Every command line of the manager's in a page, each once."""
    lines = [line for line in shell_lines(text_of(page)) if MANAGER.intersection(line.split())]
    commands = [Example(page, tuple(words)) for line in lines for words in manager_words(line) if words]
    return list(dict.fromkeys(commands))


def anchors(text: str) -> set[str]:
    """The names by which the headings of a page are linked to: lower case, no punctuation, blanks as
    hyphens.
    """
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


@pytest.mark.parametrize("ending", [".md", ".zh-TW.md"])
def test_every_command_is_on_the_page_of_a_task(ending: str) -> None:
    of_users = [page for page in WITH_EXAMPLES if page.startswith("docs/") and page not in FOR_CONTRIBUTORS]
    pages = [page for page in of_users if page.partition(".")[2] == ending.removeprefix(".")]
    text = "\n".join(map(text_of, pages))
    shown = {name for name in COMMANDS if re.search(rf"manager (?:-\S+ (?:\S+ )?)*{name}\b", text)}
    assert set(COMMANDS) - shown == IN_NO_TASK


@pytest.mark.parametrize("page", READMES)
def test_every_exit_code_stands_in_the_table(page: str) -> None:
    table = re.split(r"^### (?:Exit codes|結束代碼)$", text_of(page), flags=re.MULTILINE)[1].partition(
        "\n###"
    )[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
    shown = {int(number) for cell in first_cells for number in re.findall(r"\d+", cell)}
    commands = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)}
    assert shown == commands | {Interruption(number).exit_code for number in (signal.SIGINT, signal.SIGTERM)}


@pytest.mark.parametrize("page", WITH_EXAMPLES)
def test_every_example_parses(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused = []
    for example in examples(page):
        if " ".join(example.words) in COMMANDS:  # a sentence that names the command
            continue
        words = [ANY_COMMAND if word == "COMMAND" else word for word in example.words]
        if exit_code(words) != OK:
            refused.append(f"{example}: {capsys.readouterr().err}")
    assert refused == []


def exit_code(words: list[str]) -> int | str | None:
    """The parser's; `--help` ends it, too."""
    try:
        parsers.parsed(words)
    except SystemExit as ended:
        return ended.code
    return OK


def test_the_examples_are_found() -> None:
    """In blocks and sentences, on two lines, behind a prompt, before `>` and between `&&`: so that none is
    tested by not being seen.
    """
    pages = [page for page in WITH_EXAMPLES if page.startswith("docs/operating/")]
    assert {" ".join(example.words) for page in pages for example in examples(page)} >= {
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
        linked = Path(ROOT, page).parent / file if file else Path(ROOT, page)
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked.read_text(encoding="utf-8")), target


def translation(page: str) -> str:
    """Return the page's counterpart in Traditional Chinese."""
    return str(Path(page).with_suffix(".zh-TW.md"))


@pytest.mark.parametrize("page", IN_TWO_LANGUAGES)
def test_both_languages_keep_step(page: str) -> None:
    ours, theirs = text_of(page), text_of(translation(page))
    assert levels(theirs) == levels(ours)
    assert languages_of_blocks(theirs) == languages_of_blocks(ours)
    assert rows(theirs) == rows(ours)
    assert bullets(theirs) == bullets(ours)


@pytest.mark.parametrize("page", IN_TWO_LANGUAGES)
def test_a_file_or_key_that_one_language_names_is_named_in_the_other(page: str) -> None:
    """A sentence that one language lacks, and that tells no figure, mostly names one of these."""
    assert names(text_of(page)) ^ names(text_of(translation(page))) == set()


def names(text: str) -> set[str]:
    """Return the code outside code blocks that is a name with an underscore, or a path of folders."""
    codes = {code.replace(".zh-TW", "") for code in CODE.findall(prose(text))}
    return {code for code in codes if re.fullmatch(r"[\w./*-]+", code) and re.search(r"_|\w/\w", code)}


def levels(text: str) -> list[str]:
    """Of the headings, in order: `#`, `##` …"""
    return [level for level, _title in HEADING.findall(prose(text))]


def languages_of_blocks(text: str) -> list[str]:
    """Of the code blocks, in order."""
    return [language for language, _content in FENCE.findall(text)]


def rows(text: str) -> int:
    """Return how many rows all tables have together."""
    return sum(line.lstrip().startswith("|") for line in text.splitlines())


def bullets(text: str) -> int:
    """Return how many items all lists have together."""
    return sum(line.lstrip().startswith("- ") for line in prose(text).splitlines())


@pytest.mark.parametrize("page", IN_TWO_LANGUAGES)
def test_a_section_has_the_same_figures_and_options_in_both_languages(page: str) -> None:
    """A sentence that one language lacks mostly tells a limit or an option."""
    pairs = zip(sections(text_of(page)), sections(text_of(translation(page))), strict=True)
    missing = {title: figures(ours) - figures(theirs) for (title, ours), (_title, theirs) in pairs}
    assert {title: lacking for title, lacking in missing.items() if lacking} == {}


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield the heading and the prose of each section, beginning with what stands before the first one."""
    _before, *pieces = re.split(r"^(#+ .+)$", f"# \n{prose(text)}", flags=re.MULTILINE)
    yield from zip(pieces[::2], pieces[1::2], strict=True)


def figures(text: str) -> set[str]:
    """Return the numbers outside code, of two digits and more, and the long options within it."""
    text = re.sub(r"\]\([^)]*\)", "]", text)
    options = {option for code in CODE.findall(text) for option in re.findall(r"(?<!\S)--[a-z-]+", code)}
    return options | set(re.findall(r"\d[\d,.]*\d", CODE.sub("", text)))


def test_no_translation_is_left_without_its_page() -> None:
    translated = [page for page in PAGES if page.endswith(".zh-TW.md")]
    assert sorted(translated) == sorted(map(translation, IN_TWO_LANGUAGES))


@pytest.mark.parametrize("language", ["", ".zh-TW"])
def test_the_index_links_every_operating_page(language: str) -> None:
    index = text_of(f"docs/operating{language}.md")
    linked = {target.partition("#")[0] for target in LINK.findall(index)}
    pages = {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/operating/")}
    assert {page for page in pages if page.endswith(".zh-TW.md") == bool(language)} <= linked


@pytest.mark.parametrize("page", [*WITH_EXAMPLES, "CONTRIBUTING.md"])
def test_prose_fits_the_width(page: str) -> None:
    lines = [line for line in prose(text_of(page)).splitlines() if not line.lstrip().startswith(("|", "!["))]
    assert [line for line in lines if wcswidth(line) > WIDTH] == []


MADE = {"manager/web/page/lib/"}
"""What is in no commit: `make page` gets it, if it can."""


@pytest.mark.parametrize("page", FOR_CONTRIBUTORS)
def test_named_files_and_classes_exist(page: str) -> None:
    codes = set(CODE.findall(prose(text_of(page))))
    files = {code for code in codes if FILE.fullmatch(code)}
    assert sorted(file for file in files - MADE if not any(ROOT.glob(file))) == []
    classes = {code for code in codes if CLASS.fullmatch(code)}
    assert sorted(classes - set(CLASS_STATEMENT.findall(source()))) == []


def source() -> str:
    """Return the text of all modules of the manager, the supervisor and the bundled bot."""
    folders = ("manager", "docker/supervisor", "docker/bot/gridbot")
    return "\n".join(
        path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py")
    )


def heading_lines(page: str) -> list[str]:
    """Return the headings of the sample tables: lines of a console block that begin with ID."""
    blocks = [content for language, content in FENCE.findall(text_of(page)) if language == "console"]
    return [
        line.strip() for block in blocks for line in block.splitlines() if line.strip().startswith("ID  ")
    ]


def possible_headings() -> set[tuple[str, ...]]:
    """Return the columns of each table, in the language in use, as they give way to a narrow terminal."""
    headings = set()
    tables: list[text_table.Columns[Any]] = [PS_COLUMNS, STATS_COLUMNS, HALT_COLUMNS, CLOSE_COLUMNS]
    tables.append(SWARM_COLUMNS)
    for columns in (*tables, IMPORT_COLUMNS, history._line_columns(0.0)):
        shown = list(columns)
        while True:
            heads = tuple(text_table.headings(shown))
            headings |= {heads, heads[:-1]} if columns is PS_COLUMNS else {heads}
            first = max(shown, key=lambda column: column.priority)
            if first.priority == 0:
                break
            shown.remove(first)
    return headings


@pytest.mark.parametrize("page", [page for page in WITH_EXAMPLES if heading_lines(page)])
def test_a_sample_has_columns_that_a_terminal_can_show(page: str) -> None:
    before = i18n.language()
    try:
        i18n.use("zh_TW" if page.endswith(".zh-TW.md") else "en")
        possible = possible_headings()
    finally:
        i18n.use(before)
    shown = [tuple(re.split(r" {2,}", line)) for line in heading_lines(page)]
    assert [heads for heads in shown if heads not in possible] == []


def test_the_changelog_begins_with_this_version() -> None:
    assert re.findall(r"^## (\S+),", text_of("CHANGELOG.md"), re.MULTILINE)[0] == __version__
