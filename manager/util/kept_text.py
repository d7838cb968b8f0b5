"""Keep a message in a file as its English template and its parameters, so that each reader sees it in his own
language. What is read is checked: a file may be of another version, or of another program.
"""

from manager.errors import ManagerError
from manager.i18n import SOURCE_LANGUAGE, Text, speaking

LONGEST = 1000
DEEPEST = 4
"""Limit for messages within messages."""
LONGEST_SPEC = 3
"""Of what a template says about a number: a width of a million would be a text of a million characters."""


def english(text: object) -> str:
    """Return a message in English, for programs and for readers that do not know its parameters."""
    with speaking(SOURCE_LANGUAGE):
        return str(text)


def kept(message: object) -> object:
    """Return a message as JSON: its template and parameters, or a text that no language changes."""
    text = message.text if isinstance(message, ManagerError) else message
    if isinstance(message, ManagerError) and type(message).__str__ is not ManagerError.__str__:
        return english(message)[:LONGEST]
    if isinstance(text, Text):
        return {"text": text.message, "params": {name: kept(value) for name, value in text.params.items()}}
    return text if isinstance(text, int | float) else english(text)[:LONGEST]


def unkept(raw: object, depth: int = 0) -> Text | str | int | float | None:
    """Return what `kept` has made of a message; None for anything else."""
    if isinstance(raw, str | int | float):
        return raw[:LONGEST] if isinstance(raw, str) else raw
    if not isinstance(raw, dict) or depth > DEEPEST:
        return None
    template, params = raw.get("text"), raw.get("params")
    if not isinstance(template, str) or not isinstance(params, dict) or not _is_plain(template):
        return None
    values = {str(name): unkept(value, depth + 1) for name, value in params.items()}
    if None in values.values():
        return None
    text = Text(template, **values)
    try:
        str(text)
    except (LookupError, ValueError):  # a parameter is missing, or is none that its template can show
        return None
    return text


def _is_plain(template: str) -> bool:
    """Return whether each field of a template is a parameter, shown in a way that ours are."""
    from _string import formatter_parser  # type: ignore[import-not-found]  # `string` needs all of `re`

    if len(template) > LONGEST:
        return False
    try:
        fields = [
            (name, spec or "") for _text, name, spec, _how in formatter_parser(template) if name is not None
        ]
    except ValueError:
        return False
    return all(name.isidentifier() and len(spec) <= LONGEST_SPEC for name, spec in fields)
