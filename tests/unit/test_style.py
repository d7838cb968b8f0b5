"""How the code is written: names that say what they hold, and functions that can be read as a whole."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.syntax import parsed

ROOT = Path(__file__).resolve().parents[2]

NAMELESS = frozenset({"each", "found", "said"})
"""Names that say nothing of what they hold: `instance`, `result`, `supervisor_state` do."""

MOST_LINES = 60
"""Of a function, with its signature and docstring. One that outgrows it does two things."""

DEFINES = frozenset({"def"})

NO_VERBS = re.compile(
    "An?|All|At|Both|By|Each|Every|Everything|For|From|How|If|In|It|Nothing|Of|On|One|Only|So|That|The|These"
    "|They|Those|To|What|When|Where|Which|Who|Whoever|Why|With|Without|Whether"
)
"""First words of docstrings that begin with a noun, a question or a condition."""
VERBS_IN_S = frozenset({"Address", "Bypass", "Compress", "Discuss", "Express", "Focus", "Pass", "Process"})

Function = ast.FunctionDef | ast.AsyncFunctionDef

BINDING = frozenset(
    {
        *(ast.Name, ast.Attribute, ast.arg, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.alias),
        *(ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping),
    }
)
"""The nodes that `bound` knows: a third of all."""


def bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that this node binds, not those that its children do."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name
        case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name


def nameless(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of what is bound to a name that says nothing."""
    for node in ast.walk(tree):
        if type(node) in BINDING:
            yield from ((getattr(node, "lineno", 0), name) for name in bound(node) if name in NAMELESS)


def long_functions(tree: ast.AST, most: int = MOST_LINES) -> Iterator[tuple[str, int]]:
    """Yield (name, lines) of the functions that are too long."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > most:
                yield node.name, lines


def verbless(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, first word) of the docstrings that do not begin with a verb in its plain form."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | Function):
            continue
        if words := (ast.get_docstring(node, clean=False) or "").split():
            first = words[0].strip(",.:;")
            is_third_person = first.endswith("s") and first not in VERBS_IN_S
            if (
                NO_VERBS.fullmatch(first)
                or is_third_person
                or not (first.replace("-", "").isalpha() and first[0].isupper())
            ):
                yield getattr(node, "lineno", 1), first


def trees(folder: str, words: frozenset[str] = frozenset()) -> Iterator[tuple[str, ast.Module]]:
    """Yield (path, tree) of every module below a folder, or of those in which one of these words stands."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths, f"{folder} has no modules"
    any_word = re.compile(rf"\b(?:{'|'.join(words)})\b" if words else "")
    for path in paths:
        source = path.read_text(encoding="utf-8")
        if any_word.search(source):
            yield str(path.relative_to(ROOT)), parsed(source)


@pytest.mark.parametrize("folder", ["manager", "docker", "tests", "bench", "scripts"])
def test_names_say_what_they_hold(folder: str) -> None:
    modules = trees(folder, NAMELESS)
    problems = [f"{path}:{line} {name}" for path, tree in modules for line, name in nameless(tree)]
    assert problems == []


@pytest.mark.parametrize("folder", ["manager", "docker", "bench", "scripts"])
def test_a_docstring_begins_with_a_verb(folder: str) -> None:
    """Of modules, classes and functions alike; the reason is in a second sentence."""
    problems = [f"{path}:{line} {word}" for path, tree in trees(folder) for line, word in verbless(tree)]
    assert problems == []


@pytest.mark.parametrize("folder", ["manager", "docker"])
def test_a_function_can_be_read_as_a_whole(folder: str) -> None:
    problems = [
        f"{path}: {name} has {lines} lines"
        for path, tree in trees(folder, DEFINES)
        for name, lines in long_functions(tree)
    ]
    assert problems == []


@pytest.mark.parametrize(
    "source",
    [
        "each = 1",
        "each: int = 1",
        "a, (b, *said) = c",
        "self.found = 1",
        "for each in a: pass",
        "a = [each for each in b]",
        "a = (found := 1)",
        "with a as found: pass",
        "import found",
        "from a import b as said",
        "try: pass\nexcept E as said: pass",
        "def said(): pass",
        "async def said(): pass",
        "class each: pass",
        "def f(a, /, *, found): pass",
        "def f(*said, **a): pass",
        "a = lambda each: 1",
        "match a:\n    case [1, *said]: pass",
        "match a:\n    case {1: 2, **said}: pass",
        "match a:\n    case 1 as said: pass",
    ],
)
def test_a_name_that_says_nothing_is_detected(source: str) -> None:
    assert [line for line, _name in nameless(ast.parse(source))] in ([1], [2], [0])


def test_a_name_that_is_only_read_is_its_owners() -> None:
    assert list(nameless(ast.parse("a = b.found + each\nf(said=1)\n'said'"))) == []


@pytest.mark.parametrize("text", ["The fleet.", "What it is.", "Returns it.", "`up` alone.", "return it."])
def test_a_docstring_without_a_verb_is_detected(text: str) -> None:
    for source in (f'"""{text}"""', f'class A:\n    """{text}"""', f'def f():\n    """{text}"""'):
        assert len(list(verbless(ast.parse(source)))) == 1, source
    assert list(verbless(ast.parse('"""Return the fleet."""\ndef f():\n    """Process: all."""'))) == []


def test_the_bound_is_sharp() -> None:
    body = "\n".join(["    pass"] * (MOST_LINES - 1))
    assert list(long_functions(ast.parse(f"def f():\n{body}"))) == []
    assert list(long_functions(ast.parse(f"async def f():\n{body}\n    pass"))) == [("f", MOST_LINES + 1)]
    method = "\n".join(f"    {line}" for line in f"def f():\n{body}\n    pass".splitlines())
    assert list(long_functions(ast.parse(f"class A:\n{method}"))) == [("f", MOST_LINES + 1)]
