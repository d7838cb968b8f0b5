"""Read `.env`: one grammar, which is what python-dotenv and Docker Compose have in common.

Where these two read a line differently, or replace a `$NAME` in it, the line is a fault that says how to
quote the value. So a credential is the same in every program that reads the file.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from manager.i18n import Text
from manager.typed import NamedTuple
from manager.util import strict_json
from manager.util.late_pattern import late_pattern

NAME = late_pattern(r"[A-Za-z_][A-Za-z0-9_]*")
"""Of a variable that a config can name."""
ANY_NAME = r"[\w.\[\]-]+"
"""What both programs take for a name; `spring.datasource.url` is another program's."""
MAX_BYTES = 1_000_000

BLANKS = r"[ \t\v\f\x85\xa0]"
"""Those that both programs skip; a web page has the last one, and nobody sees it."""
SEPARATORS = "\x1c-\x1f"
"""Blanks for python-dotenv alone."""
BEFORE_NAME = rf"[^\S\n{SEPARATORS}]*"
ASSIGNMENT = late_pattern(
    rf"{BEFORE_NAME}(?:export[ \t\f]+)?(?P<name>{ANY_NAME}){BLANKS}*=(?P<blanks>{BLANKS}*)"
)
NAMED_EXPORT = late_pattern(r"export[^\S\n]+=")
"""The others see no variable here, but the word before one without a name."""
COMMENT_WITH_LINE_END = late_pattern(r"#[^\n]*\r(?![\r\n]|\Z)")
"""python-dotenv begins a line behind each carriage return, Compose does not."""
QUOTED = late_pattern(r"(['\"])((?:\\.|(?!\1)[^\\])*)\1", re.DOTALL)
REST_OF_LINE = late_pattern(rf"[^\S\n{SEPARATORS}]*(?:#[^\n]*)?(?:\n|\Z)")
BLANK_AT_END = late_pattern(rf"[{SEPARATORS}]\s*\Z")
EXPANDED = late_pattern(r"\$[A-Za-z_{$]")
EXPANDED_IN_SINGLE_QUOTES = late_pattern(r"\$\{[^}:]*(?::-[^}]*)?\}")
"""python-dotenv replaces these in single quotes too."""
COMMENT = late_pattern(r"\s#")
CONTROL = late_pattern(r"[\x00\r]")
"""Which no value has for all: one cannot be in the environment, one ends a line for python-dotenv."""
BACKSLASH = late_pattern(r"\\(.)", re.DOTALL)
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}
"""What both programs replace within double quotes. Of other letters they keep the backslash."""
UNLIKE_WITHIN = {"'": "\\", '"': "'0$\n"}
"""By quote: what the two read differently behind a backslash."""

NOT_ASSIGNED = Text("is not NAME=value")
COMMENT_MAY_END = Text(
    "there is a carriage return in the middle of this line; save the file with Unix line ends"
)


class Fault(Exception):
    """Signal a value that programs read differently."""

    def __init__(self, message: str, /, **params: object) -> None:
        super().__init__(message)
        self.text = Text(message, **params)


class Dotenv(NamedTuple):
    """Hold what one reading of the file gives.

    `faults`: (line number, why); line 0 is the file. `reread`: the variables whose value was another one for
    versions before 0.2, and that value: bots that were started by them have it.
    """

    variables: Mapping[str, str] = MappingProxyType({})
    faults: tuple[tuple[int, Text], ...] = ()
    reread: Mapping[str, str] = MappingProxyType({})


def read(path: Path) -> Dotenv:
    """Read the file; a missing one has no variables, an unreadable one is one fault."""
    try:
        raw = strict_json.read_bytes(path, MAX_BYTES)
    except FileNotFoundError:
        return Dotenv()
    except OSError as error:
        return Dotenv(faults=((0, Text("cannot be read: {why}", why=error.strerror)),))
    if len(raw) > MAX_BYTES:
        return Dotenv(faults=((0, Text("is larger than {limit} bytes", limit=MAX_BYTES)),))
    try:
        return parse(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return Dotenv(faults=((0, Text("is not UTF-8")),))


def parse(text: str) -> Dotenv:
    """Read the lines of the text: `NAME=value`, `export NAME=value`, comments and blank lines."""
    variables: dict[str, str] = {}
    before: dict[str, str] = {}
    faults: list[tuple[int, Text]] = []
    position, number = 0, 1
    while position < len(text):
        end = line_end = _end_of_line(text, position)
        line = text[position:end].strip()
        if COMMENT_WITH_LINE_END.search(text, position, end):
            faults.append((number, COMMENT_MAY_END))
        elif line and not line.startswith("#"):
            match = ASSIGNMENT.match(text, position, end)
            if match is None or NAMED_EXPORT.match(line):
                faults.append((number, NOT_ASSIGNED))
            else:
                name = match["name"]
                try:
                    variables[name], end = _value(
                        text, match.end(), name, follows_blank=bool(match["blanks"])
                    )
                    before[name] = _value_before(line) if end == line_end else variables[name]
                except Fault as fault:
                    faults.append((number, fault.text))
        number += text.count("\n", position, end)
        position = end
    reread = {name: value for name, value in before.items() if value != variables[name]}
    return Dotenv(variables, tuple(faults), reread)


def quoted(value: str) -> str | None:
    """Return how to write this value in the file, without quotes where they are not needed.

    None for a value that no form gives to every program, whatever lines follow.
    """
    in_double = value.replace("\\", "\\\\").replace('"', '\\"')
    in_single = value.replace("'", "\\'")
    for form in (value, f"'{value}'", f'"{in_double}"', f"'{in_single}'"):
        parsed = parse(f'X={form}\nY="y"')
        if parsed.variables == {"X": value, "Y": "y"} and not parsed.faults:
            return form
    return None


def _end_of_line(text: str, position: int) -> int:
    """Return where the next line begins."""
    newline = text.find("\n", position)
    return len(text) if newline < 0 else newline + 1


def _value(text: str, position: int, name: str, *, follows_blank: bool) -> tuple[str, int]:
    """Return the value at this position, and where the next line begins. Raises Fault."""
    if text[position : position + 1] in {"'", '"'}:
        return _quoted_value(text, position, name)
    end = _end_of_line(text, position)
    raw = text[position:end].removesuffix("\n").removesuffix("\r")
    comment = COMMENT.search(raw)
    if raw[:1].isspace() and raw.strip():
        raise Fault("programs differ on the blank before the value of {name}; write {name}='…'", name=name)
    if (follows_blank and raw.startswith("#")) or (comment is not None and comment[0] != " #"):
        raise Fault(
            "programs differ on whether “#” begins a comment here; write {name}='…', and a comment on a line "
            "of its own",
            name=name,
        )
    value = raw[: comment.start()] if comment else raw
    if BLANK_AT_END.search(value):
        raise Fault("the value of {name} contains a control character", name=name)
    value = value.strip()
    _require_literal(value, name)
    return value, end


def _quoted_value(text: str, position: int, name: str) -> tuple[str, int]:
    match = QUOTED.match(text, position)
    if match is None:
        raise Fault("the quotes around the value of {name} are not closed", name=name)
    rest = REST_OF_LINE.match(text, match.end())
    if rest is None:
        raise Fault("something follows the closing quote; write {name}='…'", name=name)
    quote, raw = match[1], match[2]
    behind = {escape[1] for escape in BACKSLASH.finditer(raw)}
    # earlier versions of python-dotenv take this quote for an escaped one if another follows, in any line
    is_unclear = quote == '"' and raw.endswith("\\") and '"' in text[match.end() :]
    if is_unclear or behind & set(UNLIKE_WITHIN[quote]):
        raise Fault(
            "programs differ on a backslash in these quotes; write {name} in the other ones", name=name
        )
    if quote == '"':
        _require_literal(raw, name)
        return BACKSLASH.sub(lambda escape: ESCAPES.get(escape[1], escape[0]), raw), rest.end()
    _require_printable(raw, name)
    if EXPANDED_IN_SINGLE_QUOTES.search(raw):
        raise Fault(
            "the value of {name} contains “${{…}}”, which some programs replace in any quotes", name=name
        )
    return raw.replace("\\'", "'"), rest.end()


def _require_literal(value: str, name: str) -> None:
    _require_printable(value, name)
    if EXPANDED.search(value):
        raise Fault("other programs replace what follows “$”; write {name}='…' in single quotes", name=name)


def _require_printable(value: str, name: str) -> None:
    if CONTROL.search(value):
        raise Fault("the value of {name} contains a control character", name=name)


def _value_before(line: str) -> str:
    """Return the value as versions before 0.2 read it: a comment belonged to it."""
    value = line.partition("=")[2].strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
