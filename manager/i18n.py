"""Translate messages. English is the source; catalogues are loaded only for other languages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from gettext import NullTranslations

LOCALE_DIR = Path(__file__).with_name("locale")
SOURCE_LANGUAGE = "en"
LANGUAGES = ("en", "zh-TW")
PUNCTUATION: Mapping[str, Mapping[str, str]] = {
    "zh-TW": {"; ": "；", ": ": "：", ", ": "，", " (": "（", ")": "）", "{quoted}": "「{quoted}」"},
}
"""What takes the place of English punctuation between parts of a line that are translated each by itself.

Where a reader's language is another one, words that a program or an exchange has said stand as a quotation.
"""
FULL_WIDTH = frozenset("，。：；、（）「」")
"""Marks of Chinese punctuation, beside which no blank stands."""
ONLY_PLACES = r"(\{[^}]*\}[ :;,]*)+"
PARTS = r"(\{[^}]*\})"
"""A message of placeholders alone, `{id}: {why}`, and its parts."""

NOUNS = (
    "alert|bot|command|config|connection|core|database|event|failure|file|folder|inode|instance|level|line|log|"
    "manager|message|one|order|packet|port|position|probe|request|restart|row|second|stream|task|time|warning"
)
PLURAL = rf"\{{NAME(:[^}}]*)?\}}((?: (?!of )\w+){{0,2}}?) ({NOUNS})s\b(?! and\b)(?: (are|rest)\b)?"
"""What an English template says of several things, and a verb behind it. It is compiled when it is needed:
most commands start and end without.
"""
SINGULAR_VERBS = {None: "", "are": " is", "rest": " rests"}
OTHERWISE_SINGULAR = {
    "these {count} positions?": "this position?",
    "connections to {id} are open": "connection to {id} is open",
    "streams of the role {role} are open": "stream of the role {role} is open",
    "free or used by their own instances": "free or used by its own instance",
    "{count} of the instances run ": "{count} of the instances runs ",
    " were left out, wholly": " was left out, wholly",
}
"""Parts of templates with more than that to change."""

_language: str | None = None
"""None until a language is chosen; English until then."""
_spoken: ContextVar[str | None] = ContextVar("spoken", default=None)
"""The language of one reader among several, in place of the process's."""


class Text:
    """Hold a message that is translated where it is shown: the English template and its parameters.

    All messages use it: errors, problems of files and faults of JSON.
    """

    def __init__(self, message: str, /, **params: object) -> None:
        self.message = message
        self.params = params

    def __str__(self) -> str:
        template = _(self.message)
        if template is self.message:
            for name, value in self.params.items():
                if type(value) is int and value == 1:
                    template = singular(template, name)
        params = self.params
        if "「{" in template:
            params = {name: _within(value, name, template) for name, value in params.items()}
        if template is not self.message and ("} " in template or " {" in template):
            template, params = _close_up(template, params)
        return template.format(**params)

    def __repr__(self) -> str:
        return f"Text({self.message!r}, {self.params!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and (self.message, self.params) == (other.message, other.params)

    def __hash__(self) -> int:
        return hash(self.message)


def _close_up(template: str, params: dict[str, object]) -> tuple[str, dict[str, object]]:
    """Return a Chinese template without a blank beside words that have a full-width mark on that side, as
    `（pid 7）` has, and the parameters with these words.
    """
    params = {name: str(value) if isinstance(value, Text) else value for name, value in params.items()}
    for name, value in params.items():
        if isinstance(value, str) and value:
            place = f"{{{name}}}"
            template = template.replace(f"{place} ", place) if value[-1] in FULL_WIDTH else template
            template = template.replace(f" {place}", place) if value[0] in FULL_WIDTH else template
    return template, params


def _within(words: object, name: str, template: str) -> object:
    """Return words as they stand within a Chinese quotation, which marks of their own would end."""
    if not isinstance(words, str) or f"「{{{name}}}」" not in template:
        return words
    return words.replace("「", "『").replace("」", "』")


def singular(template: str, name: str = "count") -> str:
    """Return an English template as it is for 1 of what this parameter counts. Chinese has one form."""
    if name == "count":
        for several, one in OTHERWISE_SINGULAR.items():
            template = template.replace(several, one)
    pattern = PLURAL.replace("NAME", re.escape(name))

    def one_of(match: re.Match[str]) -> str:
        return f"{{{name}{match[1] or ''}}}{match[2]} {match[3]}{SINGULAR_VERBS[match[4]]}"

    return re.sub(pattern, one_of, template)


def language_from(environ: Mapping[str, str]) -> str:
    """Return the language of `MANAGER_LANG`, else of the locale's variables in POSIX order; `C`: English."""
    for name in ("MANAGER_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = environ.get(name, "")
        if value:
            return canonical(value)
    return SOURCE_LANGUAGE


def canonical(tag: str) -> str:
    """Return our tag: `zh-TW`, `zh_TW.UTF-8`, `zh-Hant` → `zh_TW`; `en` if there is no catalogue."""
    base = tag.split(".")[0].split("@")[0].replace("-", "_").lower()
    if base == "zh" or base.startswith("zh_"):
        return "zh_TW"
    return SOURCE_LANGUAGE


def is_known(tag: str) -> bool:
    """Return whether there is a catalogue; any Chinese uses our Chinese one."""
    return tag.split(".")[0].replace("-", "_").lower().split("_")[0] in {"en", "zh"}


def use(language: str) -> None:
    """Select the language of everything printed from now on."""
    global _language
    _language = canonical(language)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Select the language within the block, for this thread or task alone: a server has several readers."""
    before = _spoken.set(canonical(language))
    try:
        yield
    finally:
        _spoken.reset(before)


def language() -> str:
    """Return the language in use, in the format of `--lang` and MANAGER_LANG."""
    return (_spoken.get() or _language or SOURCE_LANGUAGE).replace("_", "-")


def use_environment() -> None:
    """Select the environment's language, unless one was selected before."""
    if _language is None:
        use(language_from(os.environ))


def mark(message: str) -> str:
    """Return the message unchanged: marks it for the catalogue, to be translated later by `_` or Text."""
    return message


def punctuated(mark: str) -> str:
    """Return the mark of PUNCTUATION as the language in use writes it."""
    return PUNCTUATION.get(language(), {}).get(mark, mark)


def joined(sentences: Iterable[object]) -> str:
    """Return the sentences as one: `a; b`."""
    return punctuated("; ").join(map(str, sentences))


def listed(words: Iterable[object]) -> str:
    """Return the words as one text: `a, b`."""
    return punctuated(", ").join(map(str, words))


def told(sentences: Iterable[object]) -> str:
    """Return whole sentences behind each other; Chinese has no blank between them."""
    return ("" if language() == "zh-TW" else " ").join(map(str, sentences))


def labelled(*parts: object) -> str:
    """Return what the last part says, behind what it is said of: `bp_sol_01: recreate: config changed`."""
    return punctuated(": ").join(map(str, parts))


def quoted(words: str) -> Text:
    """Return what a program or an exchange has said, in its own language."""
    return Text("{quoted}", quoted=words)


def bracketed(*words: object) -> str:
    """Return what stands behind a word: ` (a, b)`."""
    return f"{punctuated(' (')}{listed(words)}{punctuated(')')}"


def _(message: str) -> str:
    """Return the message in the selected language; the message itself without a translation."""
    language = _spoken.get() or _language
    if (
        language in (None, SOURCE_LANGUAGE) or not message
    ):  # a catalogue's header is the translation of nothing
        return message
    if re.fullmatch(ONLY_PLACES, message):  # no catalogue has it
        return "".join(map(punctuated, re.split(PARTS, message)))
    return _catalogue(language).gettext(message)


@cache
def _catalogue(language: str) -> NullTranslations:
    import gettext  # 5 ms that an English reader does not pay

    return gettext.translation("manager", LOCALE_DIR, languages=[language], fallback=True)
