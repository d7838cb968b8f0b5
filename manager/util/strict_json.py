"""Read JSON files that users and other programs also edit, with strict rules and bounds."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from manager.i18n import Text, _
from manager.util import json_mistakes

MAX_BYTES = 1_000_000
MAX_DEPTH = 50


class JsonFault(Exception):
    """Signal that a file is not usable JSON: why, and the key's path."""

    def __init__(self, message: str, *, path: str = "", **params: object) -> None:
        super().__init__(message)
        self.text = Text(message, **params)
        self.path = path

    def __str__(self) -> str:
        return str(self.text)


def read(path: Path, max_bytes: int = MAX_BYTES) -> object:
    """Return the file's JSON value.

    Raises JsonFault for wrong size, encoding or depth, duplicate keys, and NaN.
    """
    try:
        raw = read_bytes(path, max_bytes)
    except OSError as error:
        raise JsonFault("cannot be read: {why}", why=error.strerror or error) from error
    return parse_bytes(raw, max_bytes)


def parse_bytes(raw: bytes, max_bytes: int = MAX_BYTES) -> object:
    """Return the JSON value of a file's content, as returned by `read_bytes`. Raises JsonFault."""
    if len(raw) > max_bytes:
        raise JsonFault("is larger than {limit} bytes", limit=max_bytes)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JsonFault("is not UTF-8 (byte {position})", position=error.start) from error
    return parse(text)


def read_bytes(path: Path | str, max_bytes: int, *, follow: bool = True) -> bytes:
    """Return the content of a regular file; `max_bytes` + 1 bytes if it is larger. Never blocks.

    `follow=False`: refuse symlinks, for a folder that a bot owns. Raises OSError.
    """
    no_follow = 0 if follow else os.O_NOFOLLOW
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | no_follow)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, _("not a regular file"), str(path))
        return b"".join(_chunks(descriptor, max_bytes + 1))
    finally:
        os.close(descriptor)


def _chunks(descriptor: int, size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := os.read(descriptor, size)):
        size -= len(chunk)
        yield chunk


def parse(text: str) -> object:
    """Return the text's JSON value. Raises JsonFault."""
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise JsonFault(
            "is not JSON: {why} (line {line}, column {column})",
            why=json_mistakes.why(error),
            line=error.lineno,
            column=error.colno,
        ) from error
    except RecursionError as error:
        raise JsonFault("is nested deeper than {limit} levels", limit=MAX_DEPTH) from error
    except ValueError as error:  # an integer of thousands of digits
        raise JsonFault("is not JSON: a number has thousands of digits") from error
    _check_tree(value, "", MAX_DEPTH)
    return value


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in pairs:
        if key in result:
            raise JsonFault("duplicate key “{key}”", key=key)
        result[key] = value
    return result


def _refuse_constant(name: str) -> object:
    raise JsonFault("is not JSON: {name} is not a number", name=name)


def _check_tree(value: object, path: str, depth: int) -> None:
    """Reject strings that no argument, label or file can hold, and nesting without limit."""
    if depth == 0:
        raise JsonFault("is nested deeper than {limit} levels", limit=MAX_DEPTH)
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, path)
            _check_tree(item, f"{path}.{key}" if path else key, depth - 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_tree(item, f"{path}[{index}]", depth - 1)


def _check_text(text: str, path: str) -> None:
    if "\0" in text:
        raise JsonFault("contains a NUL character", path=path)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise JsonFault("contains an incomplete surrogate pair", path=path) from error
