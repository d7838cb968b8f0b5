#!/usr/bin/env python3
"""Update the catalogues of manager/locale from the source, and compile them.

    .venv/bin/python scripts/messages.py

New messages are added untranslated and listed: translate them in the .po file, then run it again. The
compiled .mo files are committed, so that an installation needs no Babel; tests/unit/test_i18n.py compares
source, .po and .mo.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "manager"
DOMAIN = "manager"
LANGUAGES = ("zh_TW",)

FUNCTIONS = {"_": 0, "mark": 0, "Text": 0, "Fault": 0, "JsonFault": 0, "at": 2}
"""Call → its argument that is a message.

The error classes are found in the source; `at` is `Problem.at`.
"""
ERROR_BASE = "ManagerError"


@cache
def sources() -> dict[str, ast.Module]:
    """Return every module of the package, by its path from the project folder."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"), str(path))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def error_classes(trees: dict[str, ast.Module]) -> set[str]:
    """Return the names of all errors whose first argument is a message."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    names = {ERROR_BASE}
    while more := {name for name, parents in bases.items() if parents & names} - names:
        names |= more
    return names


def messages(trees: dict[str, ast.Module]) -> Iterator[tuple[str, str]]:
    """Return (message, file) of everything that is marked for translation.

    Babel's own extraction misses messages in f-strings.
    """
    functions = {**FUNCTIONS, **dict.fromkeys(error_classes(trees), 0)}
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (index := functions.get(called(node.func))) is not None:
                if len(node.args) <= index:
                    continue
                argument = node.args[index]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value, file


def called(function: ast.expr) -> str:
    """Return the last name of the called function."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def template() -> Catalog:
    """Return the untranslated message in the source."""
    catalogue = Catalog(project="botfleet", fuzzy=False)
    for message, file in messages(sources()):
        if _has_words(message):
            catalogue.add(message, locations=[(file, 0)])
    return catalogue


def _has_words(message: str) -> bool:
    """Return whether there is anything to translate besides the placeholders."""
    return bool(re.sub(r"\{[^}]*\}", "", message).strip(" :;,"))


def po_file(language: str) -> Path:
    """Return the path of the catalogue that people edit."""
    return PACKAGE / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(language: str) -> Catalog:
    """Return the present catalogue; an empty one without a file."""
    path = po_file(language)
    if not path.exists():
        return _signed(Catalog(locale=language, domain=DOMAIN, project="botfleet", fuzzy=False))
    with path.open("rb") as stream:
        return _signed(read_po(stream, locale=language, domain=DOMAIN))


def _signed(catalogue: Catalog) -> Catalog:
    """Return the catalogue with a complete header, without a person's name."""
    catalogue.header_comment = (
        f"# botfleet's messages in {catalogue.locale_identifier}. scripts/messages.py keeps them."
    )
    catalogue.last_translator = catalogue.language_team = catalogue.msgid_bugs_address = ""
    catalogue.version = ""
    return catalogue


def updated(language: str) -> Catalog:
    """Return the catalogue with exactly the source's messages: translations are kept, none is guessed."""
    old = read(language)
    new = _signed(Catalog(locale=language, domain=DOMAIN, project="botfleet", fuzzy=False))
    new.creation_date = new.revision_date = old.creation_date
    for message in sorted(template(), key=lambda message: str(message.id)):
        if message.id:
            known = old.get(message.id)
            new.add(message.id, known.string if known else "")
    return new


def as_po(catalogue: Catalog) -> bytes:
    """Return the .po file's content; without source files, which would change with every move."""
    stream = BytesIO()
    write_po(stream, catalogue, width=110, no_location=True, sort_output=False)
    return stream.getvalue()


def as_mo(catalogue: Catalog) -> bytes:
    """Return the .mo file's content."""
    stream = BytesIO()
    write_mo(stream, catalogue)
    return stream.getvalue()


def untranslated(catalogue: Catalog) -> list[str]:
    """Return the messages without a translation."""
    return [str(message.id) for message in catalogue if message.id and not message.string]


def main() -> int:
    missing = 0
    for language in LANGUAGES:
        catalogue, path = updated(language), po_file(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_po(catalogue))
        path.with_suffix(".mo").write_bytes(as_mo(catalogue))
        for message in untranslated(catalogue):
            missing += 1
            print(f"{path.relative_to(ROOT)}: not translated: {message}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
