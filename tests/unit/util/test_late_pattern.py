"""Patterns that are compiled at their first use match as those of `re` do."""

from __future__ import annotations

import re
from unittest import mock

import pytest

from manager.util.late_pattern import compile_all, late_pattern


def test_it_matches_as_a_compiled_one() -> None:
    late, compiled = (
        late_pattern(r"(?P<word>[a-z]+)\d", re.IGNORECASE),
        re.compile(r"[a-z]+\d", re.IGNORECASE),
    )
    for text in ("Abc1", "abc", "1"):
        for method in ("match", "search", "fullmatch"):
            assert bool(getattr(late, method)(text)) is bool(getattr(compiled, method)(text))
    assert late.sub("-", "a1 b2") == "- -"
    assert [match["word"] for match in late.finditer("a1 b2")] == ["a", "b"]
    assert (late.pattern, late.flags & re.IGNORECASE) == (r"(?P<word>[a-z]+)\d", re.IGNORECASE)


def test_it_is_compiled_when_it_is_used_and_asked_for_once() -> None:
    with mock.patch.object(re, "compile", wraps=re.compile) as compiling:
        late = late_pattern("a+")
        assert compiling.call_count == 0
        assert late.match("aa")
        assert late.match("aaa")
        assert compiling.call_count == 1


def test_once_all_are_compiled_none_is_at_its_first_use() -> None:
    late = late_pattern("unlike any other [a-z]+")
    compile_all()
    with mock.patch("re._compiler.compile") as compiling:
        assert late.match("unlike any other one")
    assert not compiling.called


def test_a_wrong_pattern_is_an_error_at_its_first_use() -> None:
    # Not among those of the manager, which another test compiles.
    with mock.patch("manager.util.late_pattern._sources", []), pytest.raises(re.error):
        late_pattern("(").match("")


def test_every_late_pattern_of_the_manager_compiles() -> None:
    """`re.compile` would have said so at the start of each command."""
    import importlib
    from pathlib import Path

    root = Path(__file__).resolve().parents[3]
    checked = 0
    for path in sorted((root / "manager").rglob("*.py")):
        if "= late_pattern(" not in path.read_text(encoding="utf-8"):
            continue
        module = importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))
        for value in vars(module).values():
            if type(value) is late_pattern:
                assert re.compile(value.pattern)
                checked += 1
    assert checked > 20
