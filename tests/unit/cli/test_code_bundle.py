"""A short command imports its modules from one file, as they would be imported without it."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import SimpleNamespace

import pytest

from manager.cli import code_bundle, late_expressions

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys
from manager.cli import code_bundle
code_bundle.use("ps")
import fractions, manager.rooms.one, manager.rooms
code_bundle.keep()
one = manager.rooms.one
assert manager.rooms.__path__ == [one.__file__.rpartition("/")[0]]
assert one.__spec__.origin == one.__file__ and "one." + sys.implementation.cache_tag in one.__cached__
print(one.WORD, *sorted({type(module.__spec__.loader).__name__ for module in (fractions, one)}))
"""
NO_CODE = marshal.dumps(compile("", "", "exec"))[:4] + b"\x80" + marshal.dumps(compile("", "", "exec"))[5:]
"""As a bit that was lost makes it: Python raises SystemError for it."""
FROM_BUNDLE, AS_EVER = "_Loader", "SourceFileLoader"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a folder with a small manager that has the real way to import, and has run once."""
    folder = tmp_path / "lib" / "manager"
    for name in ("", "cli", "rooms", "engine", "__pycache__"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "__init__.py").touch()
    for module in (code_bundle, late_expressions):
        shutil.copy(str(module.__file__), folder / "cli")
    for name in ("cli/without_site", "engine/bot_variables", "engine/client"):
        (folder / f"{name}.py").touch()
    write(folder, "first")
    assert run(folder) == f"first {AS_EVER}"
    return folder


def write(package: Path, word: str) -> None:
    (package / "rooms" / "one.py").write_text(f"WORD = {word!r}\n")


def run(
    package: Path, *, before: Sequence[Path] = (), environ: dict[str, str] | None = None, then: str = ""
) -> str:
    """Run the program with this package. `before`: folders that are searched earlier. `then`: more of it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = os.pathsep.join(map(str, [*before, package.parent]))
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM + then],  # what site loads differs
        cwd=package,
        env={**clean, "PYTHONPATH": path, **(environ or {})},
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def bundle(package: Path) -> Path:
    """Return the one file that was written."""
    [path] = (package / "__pycache__").glob("*.bundle*")
    return path


def test_a_later_run_imports_from_the_file(package: Path) -> None:
    assert run(package) == f"first {FROM_BUNDLE}"


def test_a_changed_source_is_used_at_once_and_then_from_the_file(package: Path) -> None:
    write(package, "another")
    assert run(package) == f"another {AS_EVER}"
    assert run(package) == f"another {FROM_BUNDLE}"


def test_a_source_of_the_same_size_is_told_by_its_time(package: Path) -> None:
    source = package / "rooms" / "one.py"
    write(package, "later")
    os.utime(source, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns + 2_000_000_000))
    assert run(package) == f"later {AS_EVER}"


def test_a_source_put_in_place_with_the_same_size_and_time_is_another_one(package: Path) -> None:
    """As `rsync -t`, `cp -p` and installers with fixed times do it. Compiled code of such a source is taken
    for its own by Python itself, so that it is gone.
    """
    source = package / "rooms" / "one.py"
    before = source.stat()
    new = source.with_name("new")
    new.write_text("WORD = 'later'\n")
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(source)
    assert (source.stat().st_size, source.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    shutil.rmtree(package / "rooms" / "__pycache__")
    assert run(package) == f"later {AS_EVER}"
    assert run(package) == f"later {FROM_BUNDLE}"


def test_who_removes_all_compiled_code_removes_it_too(package: Path) -> None:
    for compiled in package.rglob("*.pyc"):
        compiled.unlink()
    assert run(package) == f"first {AS_EVER}"


@pytest.mark.parametrize("damaged_code", [bytes(100), NO_CODE], ids=["zeros", "a bit"])
def test_code_that_is_damaged_within_the_file_is_imported_as_ever_and_written_anew(
    package: Path, damaged_code: bytes
) -> None:
    path = bundle(package)
    origin, entries, *rest = marshal.loads(path.read_bytes()[len(MAGIC_NUMBER) :])
    *whole, _code = entries["hashlib"]
    damaged = {**entries, "hashlib": (*whole, damaged_code)}
    path.write_bytes(MAGIC_NUMBER + marshal.dumps((origin, damaged, *rest)))
    told = "import hashlib; print(type(hashlib.__spec__.loader).__name__); code_bundle.keep()"
    assert run(package, then=told) == f"first {FROM_BUNDLE}\n{AS_EVER}"
    assert run(package, then=told) == f"first {FROM_BUNDLE}\n{FROM_BUNDLE}"


def test_a_module_that_is_loaded_once_more_is_that_of_the_disk(package: Path) -> None:
    more = "import importlib; print(importlib.reload(one).WORD)"
    change = (
        f"import pathlib; pathlib.Path({str(package)!r}, 'rooms', 'one.py').write_text('WORD = \"new\"\\n')"
    )
    assert run(package, then=f"{change}\n{more}") == f"first {FROM_BUNDLE}\nnew"


def test_a_copy_of_the_package_imports_its_own_modules(package: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "manager"
    shutil.copytree(package, copy)
    write(copy, "copied")
    assert run(copy) == f"copied {AS_EVER}"
    assert run(copy) == f"copied {FROM_BUNDLE}"
    assert run(package) == f"first {FROM_BUNDLE}"


def test_a_source_that_is_gone_is_not_imported(package: Path) -> None:
    (package / "rooms" / "one.py").unlink()
    with pytest.raises(AssertionError, match="No module named"):
        run(package)


@pytest.mark.parametrize(
    "damage",
    [
        *("empty", "cut off", "of another interpreter", "of another version", "noise"),
        *("of another shape", "code that is none"),
    ],
)
def test_a_file_that_cannot_be_used_is_written_anew(package: Path, damage: str) -> None:
    path = bundle(package)
    content = path.read_bytes()
    origin, *rest = marshal.loads(content[len(MAGIC_NUMBER) :])
    path.write_bytes(
        {
            "empty": b"",
            "cut off": content[: len(content) // 2],
            "of another interpreter": b"\0" + content[1:],
            "of another version": MAGIC_NUMBER + marshal.dumps((("3.11.0", *origin[1:]), *rest)),
            "noise": MAGIC_NUMBER + b"\xff" * 100,
            "of another shape": MAGIC_NUMBER + marshal.dumps((origin, [], *rest[1:])),
            "code that is none": MAGIC_NUMBER + NO_CODE,
        }[damage]
    )
    assert run(package) == f"first {AS_EVER}"
    assert run(package) == f"first {FROM_BUNDLE}"


def test_a_module_in_a_folder_that_is_searched_before_the_library_is_the_one(
    package: Path, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "fractions.py").touch()
    assert run(package, before=[tmp_path / "own"]) == f"first {AS_EVER}"
    assert run(package, before=[tmp_path]) == f"first {FROM_BUNDLE}"


def test_a_file_that_others_could_write_is_not_run_and_written_anew(package: Path) -> None:
    path = bundle(package)
    path.chmod(0o666)
    assert run(package) == f"first {AS_EVER}"
    assert path.stat().st_mode & 0o777 == (package / "cli" / "code_bundle.py").stat().st_mode & 0o666
    assert run(package) == f"first {FROM_BUNDLE}"


@pytest.mark.parametrize(
    ("owner", "mode", "is_read"),
    [
        ("root", 0o644, True),
        ("this user", 0o600, True),
        ("the source's owner", 0o644, True),
        ("another", 0o644, False),
        ("this user", 0o664, False),
        ("root", 0o646, False),
    ],
)
def test_a_file_is_read_if_it_was_written_by_those_whose_code_runs_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, mode: int, is_read: bool
) -> None:
    users = {"root": 0, "the source's owner": 1001, "this user": 1002, "another": 1003}
    code_bundle._write(str(tmp_path / "file"), {}, ({}, {}), {})
    machine = SimpleNamespace(
        geteuid=lambda: users["this user"],
        stat=lambda _path: SimpleNamespace(st_uid=users["the source's owner"], st_mode=0o100644),
        fstat=lambda _file: SimpleNamespace(st_uid=users[owner], st_mode=0o100000 | mode),
    )
    monkeypatch.setattr(code_bundle, "os", machine)
    assert (code_bundle._read(str(tmp_path / "file")) is not None) is is_read


def test_nothing_is_written_where_python_is_told_to_write_nothing(package: Path) -> None:
    bundle(package).unlink()
    assert run(package, environ={"PYTHONDONTWRITEBYTECODE": "1"}) == f"first {AS_EVER}"
    assert run(package, environ={"PYTHONPYCACHEPREFIX": str(package.parent / "cache")}) == f"first {AS_EVER}"
    assert list((package / "__pycache__").glob("*.bundle*")) == []


def test_a_file_that_cannot_be_written_keeps_no_command_from_running(package: Path) -> None:
    path = bundle(package)
    path.unlink()
    path.mkdir()  # as for a full disk, root gets no further either
    (path / "something").touch()
    assert run(package) == f"first {AS_EVER}"
    assert bundle(package) == path  # and nothing half written is left


def test_the_file_has_no_module_of_another_package(package: Path) -> None:
    _origin, entries, *_rest = marshal.loads(bundle(package).read_bytes()[len(MAGIC_NUMBER) :])
    assert {"manager.rooms.one", "manager.engine.client", "fractions"} <= {*entries}
    folders = (str(package), str(Path(os.__file__).parent))
    assert all(
        source.startswith(folders) and "site-packages" not in source for source, *_ in entries.values()
    )


EXPRESSIONS = """
import re, threading
assert "enum" not in sys.modules and "re._parser" not in sys.modules, "loaded before it is used"
first = fractions._RATIONAL_FORMAT
known = [first, re.compile(first.pattern, re.VERBOSE | re.IGNORECASE)]
early = re.compile
assert "enum" not in sys.modules, "loaded for what the file has"
"""


def test_expressions_of_the_file_need_no_module_to_compile_them(package: Path) -> None:
    check = """
for pattern in known:
    assert pattern.match(" -7/12 ").group("sign", "num", "denom", "exp") == ("-", "7", "12", None)
assert "enum" not in sys.modules
real = re.compile(known[0].pattern, re.VERBOSE | re.IGNORECASE | re.NOFLAG)
print("enum" in sys.modules, {pattern == real for pattern in known}, known[0].groupindex == real.groupindex)
"""
    assert run(package, then=EXPRESSIONS + check) == f"first {FROM_BUNDLE}\nTrue {{True}} True"


@pytest.mark.parametrize(
    "use",
    [
        "re.sub('a', 'b', 'caa')",
        "early('x(?P<y>[0-9]+)').match('x12')['y']",
        "re.compile(b'x', re.I).flags, re.I, early('', re.I), early('x').sub(r'\\g<0>y', 'x')",
        "re.__spec__.name, re.__file__.rpartition('/')[2], re.__all__",
        "[f() for f in (lambda: isinstance(early('x'), re.Pattern), lambda: re.error.__name__)]",
        "__import__('pickle').loads(__import__('pickle').dumps(known[0])) == known[0]",
    ],
)
def test_what_is_asked_beyond_gets_the_whole_module(package: Path, use: str) -> None:
    late = run(package, then=f"{EXPRESSIONS}\nprint({use})\nassert type(re) is type(sys)")
    ever = run(package, environ={"PYTHONPYCACHEPREFIX": "/nowhere"}, then=f"{LOADED}\nprint({use})")
    assert late.splitlines()[1:] == ever.splitlines()[1:]


LOADED = """
import re, re as early_re
early = lambda *of: early_re.compile(*of)
known = [fractions._RATIONAL_FORMAT]
"""


def test_threads_that_ask_at_once_all_get_it(package: Path) -> None:
    check = """
start, results = threading.Barrier(8), []
def ask():
    start.wait()
    results.append(re.sub("[a-c]", "-", "abcd"))
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(results == ["---d"] * 8)
"""
    assert run(package, then=EXPRESSIONS + check) == f"first {FROM_BUNDLE}\nTrue"


def test_a_thread_that_asks_while_another_loads_it_gets_nothing_half_made(package: Path) -> None:
    check = """
import time
names, is_half = vars(re), threading.Event()
whole = names["_load"]
def slowly(module):
    names["sub"] = "half made"
    is_half.set()
    time.sleep(0.2)
    whole(module)
names["_load"] = slowly
loading = threading.Thread(target=lambda: re.escape("a"))
loading.start()
is_half.wait()
print(re.sub("[a-c]", "-", "abcd"))
loading.join()
"""
    assert run(package, then=EXPRESSIONS + check) == f"first {FROM_BUNDLE}\n---d"


def test_a_load_that_was_interrupted_is_done_at_the_next_use(package: Path) -> None:
    check = """
names = vars(re)
whole = names["_load"]
def half(module):
    names["sub"] = "half made"
    raise KeyboardInterrupt
names["_load"] = half
try:
    re.escape("a")
except KeyboardInterrupt:
    print("interrupted")
names["_load"] = whole
print(re.sub("a", "b", "ac"), re.escape("a-"))
"""
    assert run(package, then=EXPRESSIONS + check) == f"first {FROM_BUNDLE}\ninterrupted\nbc a\\-"


def test_an_expression_that_is_damaged_within_the_file_is_compiled_as_ever(package: Path) -> None:
    path = bundle(package)
    origin, entries, (flags, compiled), *rest = marshal.loads(path.read_bytes()[len(MAGIC_NUMBER) :])
    damaged = {key: bytes(len(value)) for key, value in compiled.items()}
    assert damaged
    path.write_bytes(MAGIC_NUMBER + marshal.dumps((origin, entries, (flags, damaged), *rest)))
    check = "\nprint(fractions.Fraction('3/4'), 'enum' in sys.modules)"
    assert run(package, then=check) == f"first {FROM_BUNDLE}\n3/4 True"
