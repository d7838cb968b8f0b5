"""Bad input of every kind: no traceback, no hang, no write outside the data folder, and a code that says
whose fault it is.

In this process for speed, through the same `main` that the `manager` script calls; some of it in real
processes too.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manager.cli.main import main
from tests.builders import a_config
from tests.faults.conftest import Note
from tests.fleet import Project

pytestmark = pytest.mark.engine

ALLOWED = {0, 2, 4}
NOTHING_RUNS = {(1, "status"), (1, "logs")}
"""What these two say, rightly, of an instance that has no container."""

SLOWEST_S = 10.0
LONG, SHORT = 2000, 25
"""Cases of each of the five kinds of input: 10,000 in the long run, 125 in the short one."""


@dataclass
class Ran:
    code: int
    out: str


@pytest.fixture
def fuzzed(offline: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project that is only looked at, with a file beside it that nobody may touch."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "project.json").write_text("untouched")
    yield offline
    assert (tmp_path / "project.json").read_text() == "untouched"


@pytest.fixture
def cases(is_long: bool) -> int:
    return LONG if is_long else SHORT


def fuzz(count: int, case: Callable[..., None], **strategies: st.SearchStrategy[Any]) -> None:
    """Runs a case so often; the same cases each time."""
    bounded = settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    bounded(given(**strategies)(case))()


def run(project: Project, *args: str) -> Ran:
    """One command, with everything that holds for all of them."""
    before = outside(project)
    out, err, began = io.StringIO(), io.StringIO(), time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(["--project-dir", str(project.folder), *args])
        except SystemExit as end:
            code = int(end.code or 0)
    text = out.getvalue() + err.getvalue()
    assert code in ALLOWED or (code, args[0]) in NOTHING_RUNS, f"{args} ended with {code}: {text}"
    assert "Traceback" not in text
    assert time.process_time() - began < SLOWEST_S, "of this process: a busy machine takes longer"
    assert outside(project) == before, "written outside of the data folder"
    return Ran(code, out.getvalue())


def outside(project: Project) -> set[tuple[str, int, int]]:
    """Everything around the data folder: names, and sizes and times of files."""
    top, data = project.folder.parent, project.folder / "volumes"
    entries = set()
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if Path(folder, name) not in {data, top / "cache"}]
        entries |= {(f"{folder}/{name}", 0, 0) for name in folders}
        for name in files:
            facts = Path(folder, name).lstat()
            entries.add((f"{folder}/{name}", facts.st_size, facts.st_mtime_ns))
    return entries


NASTY_TEXTS = [
    "",
    " ",
    ".",
    "..",
    "../x",
    "../../../../etc/passwd",
    "/etc/passwd",
    "/",
    "~",
    "logs/../../x",
    "logs//x",
    "logs/./x",
    "a/b",
    "\0",
    "a\0b",
    "\n",
    "\x1b[31m",
    "{0.__class__}",
    "{value}",
    "%s%n",
    "$(id)",
    "`id`",
    "${",
    "${}",
    "${A",
    "${A:-${B}}",
    "${PATH}",
    "-",
    "--json",
    "-rf",
    "é",
    "名",
    "\u202e",
    "\ud800",
    "\U0001f600",
    "x" * 64,
    "x" * 100_000,
    "NaN",
    "Infinity",
    "null",
    "fleet.json",
    "instances.json",
    "con",
    "A" * 63,
    "logs/" + "x/" * 90 + "y",
]
numbers = st.one_of(
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=True),
    st.sampled_from([0, -1, 65535, 65536, 10**400, 1e308, 5e-324, True, False]),
)
texts = st.one_of(
    st.sampled_from(NASTY_TEXTS), st.text(max_size=80), st.characters().map(lambda character: character * 3)
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths_of(item, (*path, key))


SECTIONED = a_config(
    "one", 25990, daemon_config={"log_dir": "logs/one", "db_path": "database/one.db", "restart_delay": 1}
)
LEGACY: dict[str, Any] = {
    "python_path": "python3",
    "web_port": 25991,
    "max_restart_attempts": 3,
    "environment": {"TZ": "UTC"},
    "bot_args": ["--exchange", "backpack", "--symbol", "SOL"],
}


@st.composite
def bent_configs(draw: st.DrawFn) -> dict[str, Any]:
    """A sound config, sectioned or flat, with some values replaced, some removed, some added."""
    config: dict[str, Any] = copy.deepcopy(draw(st.sampled_from([SECTIONED, LEGACY])))
    for path in draw(st.lists(st.sampled_from(sorted(paths_of(config), key=repr)), max_size=3)):
        target: Any = config
        for key in path[:-1]:
            target = target.get(key) if isinstance(target, dict) else None
        if not isinstance(target, dict) or not path:
            continue
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                target[path[-1]] = draw(values)
            case "remove":
                target.pop(path[-1], None)
            case _:
                target[draw(texts)] = draw(values)
    return config


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


whole = json.dumps(SECTIONED)
RAW = [
    b"",
    b"\xef\xbb\xbf" + whole.encode(),
    whole.encode("utf-16"),
    whole.encode("utf-32"),
    whole.encode()[:-1],
    whole.encode() * 2,
    whole.replace("a grid", "\xe9").encode("latin-1"),
    b"[" * 200_000,
    b'{"a":' * 50_000,
    b"\0" * 1000,
    b"null",
    b"[]",
    b'"x"',
    b"0",
    b'{"metadata": {}, "metadata": {}}',
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b"\xff" * 100,
    b'{"metadata": "' + b"x" * 10_000_000 + b'"}',
    whole.encode() + b" " * 10_000_000,
    b'{"a": "\\ud800"}',
    b'{"a": "\\u0000"}',
]
raw_files = st.one_of(st.sampled_from(RAW), st.binary(max_size=300), values.map(encoded))


def test_configs(fuzzed: Project, cases: int, note: Note) -> None:
    file = fuzzed.folder / "config" / "active" / "one.json"
    loaded = 0

    def case(content: bytes, command: list[str]) -> None:
        nonlocal loaded
        file.write_bytes(content)
        loaded += run(fuzzed, *command).code == 0

    commands = st.sampled_from(
        [["config", "--check"], ["config"], ["compose", "--stdout"], ["plan"], ["ps", "--json"], ["status"]]
    )
    fuzz(cases, case, content=st.one_of(bent_configs().map(encoded), raw_files), command=commands)
    assert 0 < loaded < cases
    note(
        "bad configs",
        "hypothesis: bent values, bytes, encodings, nesting, 10 MB",
        cases,
        "exit code 0 or 4, and 2 for a fleet left without an instance",
    )


def test_fleet_settings_and_variables(fuzzed: Project, cases: int, note: Note) -> None:
    toml, dotenv = fuzzed.folder / "config" / "fleet.toml", fuzzed.folder / ".env"
    (fuzzed.folder / "config" / "active" / "one.json").write_text(whole)
    names = st.sampled_from(
        [
            "name",
            "data_dir",
            "mode",
            "image",
            "bot_dir",
            "bind_address",
            "variables",
            "parallelism",
            "container",
            "defaults",
            "nmae",
        ]
    )
    lines = st.lists(
        st.tuples(names, values.map(in_toml)).map(lambda pair: f"{pair[0]} = {pair[1]}"), max_size=4
    )
    tomls = st.one_of(
        lines.map(lambda texts: "\n".join(texts).encode("utf-8", "replace")),
        st.sampled_from(RAW),
        st.binary(max_size=200),
    )
    envs = st.one_of(
        st.binary(max_size=200),
        st.sampled_from(RAW),
        st.lists(st.tuples(texts, texts).map("=".join), max_size=5).map(
            lambda texts: "\n".join(texts).encode("utf-8", "replace")
        ),
    )

    def case(settings_: bytes, env: bytes) -> None:
        toml.write_bytes(settings_)
        dotenv.write_bytes(env)
        run(fuzzed, "config", "--check")
        run(fuzzed, "compose", "--stdout")

    fuzz(cases, case, settings_=tomls, env=envs)
    note("bad fleet.toml and .env", "hypothesis", cases, "exit code 0 or 4")


def test_what_is_remembered_and_exported(fuzzed: Project, cases: int, note: Note) -> None:
    (fuzzed.folder / "config" / "active" / "one.json").write_text(whole)
    memory = fuzzed.folder / "volumes" / "state" / "fleet.json"
    memory.parent.mkdir(parents=True)
    fuzzed.export_file.parent.mkdir(parents=True)
    remembered = {
        "schema": 1,
        "fleet": fuzzed.name,
        "ids": {},
        "instances": {"one": {"wish": "run", "web_port": 25990, "registered_at": "2026-01-01T00:00:00"}},
    }
    records = {
        "one": {"config_file": "x", "pid": 1, "log_dir": "logs/one", "started_at": "2026-01-01T00:00:00"}
    }

    def bent(sound: dict[str, Any]) -> st.SearchStrategy[bytes]:
        spots = st.sampled_from([path for path in paths_of(sound) if path])
        return st.one_of(st.tuples(spots, values).map(lambda change: encoded(put(sound, *change))), raw_files)

    def case(known: bytes, exported: bytes, command: list[str]) -> None:
        for aside in fuzzed.export_file.parent.glob("*.unreadable-*"):
            aside.unlink()
        memory.write_bytes(known)
        fuzzed.export_file.write_bytes(exported)
        run(fuzzed, *command)
        if command == ["export"] and known == encoded(remembered):
            assert isinstance(fuzzed.instances(), dict)

    commands = st.sampled_from([["ps"], ["ps", "--json"], ["list"], ["export"], ["plan"]])
    fuzz(
        cases,
        case,
        known=st.one_of(st.just(encoded(remembered)), bent(remembered)),
        exported=bent(records),
        command=commands,
    )
    note(
        "bad state/fleet.json and instances.json",
        "hypothesis",
        cases,
        "exit code 0 or 4; the foreign file is put aside, ours is refused",
    )


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command, some of its own options with any value, some ids; and now and then anything at all."""
    command = draw(
        st.sampled_from(
            ["ps", "list", "status", "logs", "config", "plan", "stop", "down", "start", "restart", "up"]
        )
    )
    likely = st.one_of(
        texts, st.sampled_from(["one", "config/active/one.json", "config/active", "nan", "-1", "1e400", "٣"])
    )
    options = ["--config", "-c", "--instance-id"]
    options += {"logs": ["--tail"], "up": ["--wait-timeout"], "stop": ["--lock-wait"]}.get(command, [])
    words = draw(st.lists(likely, max_size=2))
    for option in draw(st.lists(st.sampled_from(options), max_size=3)):
        words += [option, draw(likely)]
    if draw(st.integers(0, 9)) == 0:
        words += draw(
            st.lists(
                st.one_of(texts, st.sampled_from(["--json", "--force", "-t", "--wait", "-x"])), max_size=3
            )
        )
    dry = ["--dry-run"] if command in {"up", "start", "restart"} else []
    return [command, *dry, *(word for word in words if word not in {"-f", "--follow"})]


def test_ids_and_flags(fuzzed: Project, cases: int, note: Note) -> None:
    (fuzzed.folder / "config" / "active" / "one.json").write_text(whole)

    def one_line(line: list[str]) -> None:
        run(fuzzed, *line)

    fuzz(cases, one_line, line=command_lines())
    note(
        "bad ids and flags",
        "hypothesis: ../, NUL, half surrogates, 100,000 letters",
        cases,
        "exit code 0, 2 or 4",
    )


def test_ids_that_configs_give_themselves(fuzzed: Project, cases: int, note: Note) -> None:
    """Every id and path that is accepted stays below the data folder, in a place of its own."""
    active = fuzzed.folder / "config" / "active"

    def case(instance: str, log_dir: str, db_path: str, other: str) -> None:
        for name, daemon in (("a", {"log_dir": log_dir, "db_path": db_path}), ("b", {})):
            port = 25990 if name == "a" else 25991
            config = a_config(instance if name == "a" else other, port, daemon_config=daemon)
            (active / f"{name}.json").write_bytes(encoded(config))
        ran = run(fuzzed, "compose", "--stdout")
        if ran.code:
            return
        services = yaml.safe_load(ran.out)["services"].values()
        sources = [volume["source"] for service in services for volume in service["volumes"]]
        assert len(sources) == len(set(sources)) == 8
        for source in sources:
            assert os.path.normpath(source).startswith("volumes/")
            assert len(Path(os.path.normpath(source)).parts) >= 3

    places = st.one_of(
        texts, st.sampled_from(["logs", "logs/one", "logs/two", "./logs/one/", "logs/two/x", "LOGS/one"])
    )
    databases = st.one_of(
        texts,
        st.sampled_from(["database/one.db", "database/two/x.db", "database/two", "database/one/one.db"]),
    )
    ids = st.one_of(texts, st.sampled_from(["one", "two", "ONE", "one.db", "fleet.lock"]))
    fuzz(cases, case, instance=ids, log_dir=places, db_path=databases, other=ids)
    note(
        "ids and paths that configs give themselves",
        "hypothesis, two configs at once",
        cases,
        "what is accepted has folders of its own below the data folder",
    )


ENDS = ("../../etc/passwd", "\udcff\udcfe", "x" * 100_000, "--tail=nan", "", "\u202e")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "en_US.ISO-8859-1"])
def test_real_processes_in_any_locale(offline: Project, locale: str, is_long: bool) -> None:
    config = a_config("one", 25990, metadata={"name": "格網 🟢", "description": "\x1b[2J"})
    (offline.folder / "config" / "active" / "one.json").write_text(json.dumps(config))
    environ = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0"}
    ends = ENDS if is_long or locale == "C" else ENDS[:2]
    for command in (["list"], ["status", "one"], ["config"], *(["stop", word] for word in ends)):
        done = subprocess.run(
            offline.command(*command),
            cwd=offline.folder,
            env=environ,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode in {0, 1, 2}, done.stderr
        if command in (["status", "one"], ["config"]):
            json.loads(done.stdout.decode("ascii" if "UTF" not in locale else "utf-8"))
        assert b"Traceback" not in done.stderr
        assert b"bug" not in done.stderr


def test_what_is_no_file(offline: Project, note: Note) -> None:
    for path in (
        ".env",
        "config/fleet.toml",
        "config/active/one.json",
        "volumes/state/fleet.json",
        "volumes/logs/instances.json",
    ):
        place = offline.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        saved = place.read_bytes() if place.exists() else None
        for make in (
            os.mkfifo,
            lambda path: path.symlink_to("/dev/zero"),
            lambda path: path.symlink_to(path.name),
            os.mkdir,
        ):
            place.unlink(missing_ok=True)
            make(place)
            done = offline.manager("export", code=None, timeout=20)
            assert done.code in {0, 1, 4}, (path, done.err)
            assert "bug" not in done.err
            if place.is_dir() and not place.is_symlink():
                place.rmdir()
        place.unlink(missing_ok=True)
        if saved is not None:
            place.write_bytes(saved)
    note(
        "a FIFO, a device, a circle of links, a folder where a file should be",
        "five files",
        20,
        "no hang; said with exit code 1 or 4, or put aside",
    )


def in_toml(value: Any) -> str:
    return json.dumps(value)


def put(sound: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy with another value in one place."""
    bent: dict[str, Any] = copy.deepcopy(sound)
    target: Any = bent
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return bent
