"""Read and write JSON without the `json` module, whose imports are 1 MB of memory and 10 ms of each start.

The scanner is that of `json` itself, in C. What it does not take is given to `json`, for its errors.
"""

# (pathlib is 0.8 MB of resident memory)

import _json
from _collections_abc import Callable, Iterator

_BLANKS = " \t\n\r"


class _Context:
    """Hold what the scanner asks of a decoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def loads(content: bytes | str, refuse_constant: Callable[[str], object] | None = None) -> object:
    """Return what `json.loads` returns, and raise what it raises.

    `refuse_constant`: called for NaN and the infinities, to raise ValueError.
    """
    context = _Context()
    if refuse_constant is not None:
        context.parse_constant = refuse_constant  # type: ignore[assignment]
    try:
        text = (content if isinstance(content, str) else content.decode()).strip(_BLANKS)
        value, end = _json.make_scanner(context)(text, 0)  # type: ignore[arg-type]
        if end == len(text):
            return value
    except (ValueError, StopIteration, SystemError):  # the last: its own errors are classes of `json`
        pass
    import json

    return json.loads(content, parse_constant=refuse_constant)


def dumps(value: object, *, indented: bool = False) -> str:
    """Return what `json.dumps(value)` returns, or `json.dumps(value, indent=1, ensure_ascii=False)`."""
    text = _json.encode_basestring if indented else _json.encode_basestring_ascii
    return "".join(_pieces(value, text, "\n" if indented else ""))


def _pieces(value: object, text: Callable[[str], str], line: str) -> Iterator[str]:
    """Yield the parts of a value. `line`: the line break and the indentation around it; empty for none."""
    match value:
        case None:
            yield "null"
        case bool():
            yield "true" if value else "false"
        case str():
            yield text(value)
        case int():
            yield int.__repr__(value)
        case float():
            yield _number(value)
        case dict():
            yield from _enclosed("{}", ((f"{text(key)}: ", item) for key, item in value.items()), text, line)
        case list() | tuple():
            yield from _enclosed("[]", (("", item) for item in value), text, line)
        case _:
            raise TypeError(f"{value!r} is not JSON")


def _enclosed(
    brackets: str, items: Iterator[tuple[str, object]], text: Callable[[str], str], line: str
) -> Iterator[str]:
    inner = line and line + " "
    separator = brackets[0] + inner
    for head, value in items:
        yield separator + head
        yield from _pieces(value, text, inner)
        separator = "," + (inner or " ")
    yield brackets if separator == brackets[0] + inner else line + brackets[1]


def _number(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return float.__repr__(value)
