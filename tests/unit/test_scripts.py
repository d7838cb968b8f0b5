"""The shell scripts: when .venv has to be made again, which docker is refused, and how words pass through
a shell.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from manager import i18n
from manager.cli import parsers
from manager.fleet.display import PS_COLUMNS
from manager.util import text_table

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
STAMPS = ("dev.stamp", "runtime.stamp")


def write_program(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)


@pytest.fixture(name="project", params=["project", "my bots/交易 機器人"])
def _project(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A project folder whose .venv has a Python, and a manager as pip writes it."""
    project = tmp_path / str(request.param)
    programs = project / ".venv" / "bin"
    programs.mkdir(parents=True)
    python = programs / "python"
    write_program(python, f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    if " " in str(project):
        write_program(programs / "manager", f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n")
    else:
        write_program(programs / "manager", f"#!{python}\n")
    for stamp in STAMPS:
        (project / ".venv" / stamp).touch()
    return project


def works(project: Path) -> bool:
    """Check a project's .venv as the Makefile does; whether its stamps are left."""
    subprocess.run([SCRIPTS / "venv.sh", "--check", ".venv"], cwd=project, check=True)
    left = [stamp for stamp in STAMPS if (project / ".venv" / stamp).exists()]
    assert left in ([], list(STAMPS))
    return bool(left)


def test_a_venv_where_it_was_made_is_kept(project: Path) -> None:
    assert works(project)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_venv_is_kept_in_any_locale(project: Path, locale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    assert works(project)


def test_a_moved_venv_is_made_again(project: Path) -> None:
    assert not works(project.rename(project.with_name("elsewhere")))


def test_a_copied_venv_is_made_again_and_the_first_is_kept(project: Path) -> None:
    copy = project.with_name("copy")
    shutil.copytree(project, copy, symlinks=True)
    assert not works(copy)
    assert works(project)


def test_a_venv_reached_through_a_link_is_kept(project: Path) -> None:
    link = project.with_name("link")
    link.symlink_to(project)
    assert works(link)


def test_a_moved_venv_with_a_link_where_it_was_is_kept(project: Path) -> None:
    moved = project.rename(project.with_name("elsewhere"))
    project.symlink_to(moved)
    assert works(moved)


def test_a_python_that_finds_no_packages_any_more(project: Path) -> None:
    """As after an upgrade from 3.11 to 3.12: the packages lie in the old one's folder."""
    write_program(project / ".venv/bin/python", f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    assert not works(project)


def test_a_python_that_is_gone(project: Path) -> None:
    (project / ".venv/bin/python").unlink()
    (project / ".venv/bin/python").symlink_to("/nowhere/bin/python3")
    assert not works(project)


def test_a_venv_without_the_manager(project: Path) -> None:
    (project / ".venv/bin/manager").unlink()
    assert not works(project)


@pytest.mark.parametrize("letters", [":", 'a "b" c'])
def test_a_path_in_which_no_venv_works_is_named(tmp_path: Path, letters: str) -> None:
    """pip's programs begin with it: a venv is made, and nothing in it runs."""
    project = tmp_path / letters
    project.mkdir()
    done = subprocess.run(
        [SCRIPTS / "venv.sh"],
        cwd=project,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"no virtual environment works in {project}: its path has one of" in done.stderr
    assert not (project / ".venv").exists()


def test_an_editable_install_works_in_any_locale(tmp_path: Path) -> None:
    """Python reads the file that leads to the project in the encoding of the locale."""
    project = tmp_path / "交易 機器人"
    (project / "package").mkdir(parents=True)
    (project / "package" / "__init__.py").touch()
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "it"\nversion = "1"\n'
        '[tool.setuptools]\npackages = ["package"]\npackage-dir = { "" = "." }\n'
    )
    venv = [sys.executable, "-m", "venv", "--without-pip", ".venv"]
    subprocess.run(venv, cwd=project, check=True)
    for site in project.glob(".venv/lib/python3*/site-packages"):  # pip and setuptools are those of the tests
        (site / "setuptools.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    plain = {**os.environ, "LC_ALL": "C"}
    subprocess.run([SCRIPTS / "venv.sh", "--editable", ".venv"], cwd=project, check=True, env=plain)
    for locale in ("C", "C.UTF-8"):
        done = subprocess.run(
            [project / ".venv" / "bin" / "python", "-c", "import package; print(ascii(package.__file__))"],
            cwd=tmp_path,
            env={**os.environ, "LC_ALL": locale},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == f"{str(project / 'package' / '__init__.py')!a}\n", done.stderr


def test_the_script_starts_an_earlier_versions_code_too(tmp_path: Path) -> None:
    """After `git checkout` of it nothing else would start, not even a halt: it knows nothing of `site`."""
    earlier = "def entry_point():\n    import sys\n    print('site' in sys.modules)\n"
    own = (SCRIPTS.parent / "manager/cli/__init__.py").read_text()
    (tmp_path / "manager" / "cli").mkdir(parents=True)
    (tmp_path / "manager" / "__init__.py").touch()
    module = tmp_path / "manager" / "cli" / "__init__.py"
    module.write_text(earlier)
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "it"\nversion = "1"\nscripts = { manager = "manager.cli:entry_point" }\n'
        '[tool.setuptools]\npackages = ["manager", "manager.cli"]\npackage-dir = { "" = "." }\n'
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=tmp_path, check=True)
    for site in tmp_path.glob(".venv/lib/python3*/site-packages"):
        (site / "setuptools.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    subprocess.run([SCRIPTS / "venv.sh", "--editable", ".venv"], cwd=tmp_path, check=True)
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for code, has_site in ((earlier, True), (own + earlier, False)):
        module.write_text(code)
        done = subprocess.run(
            [tmp_path / ".venv" / "bin" / "manager"], capture_output=True, text=True, env=environ, check=False
        )
        assert done.stdout == f"{has_site}\n", done.stderr


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_words_pass_through_a_shell_as_they_are(locale: str) -> None:
    words = ["/my bots/交易 機器人", "it's", '$HOME `id` \\ "*"', "two\nlines", ""]
    line = subprocess.run(
        ["bash", "-c", '. "$1/lib.sh"; shift; quoted "$@"', "bash", SCRIPTS, *words],
        env=os.environ | {"LC_ALL": locale},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    done = subprocess.run(["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True)
    assert done.stdout.split("\0")[:-1] == words


DOCKERS_OWN = """case $1 in
  --version) echo 'Docker version 28.2.2, build e6534b4' ;;
  context) [ "$2" != inspect ] || echo; exit 1 ;;
  *) exit 1 ;;
esac"""
PODMANS = (
    "echo 'Emulate Docker CLI using podman.' >&2; [ \"$1\" != --version ] || echo 'podman version 4.3.1'"
)


def engine_script(
    folder: Path, docker: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run engine.sh with this docker command. Nothing that it may go on to do can be done."""
    for name, text in (
        ("docker", docker),
        *((name, "exit 1") for name in ("apt-get", "dockerd", "sudo", "systemctl")),
    ):
        write_program(folder / name, f"#!/bin/sh\n{text}\n")
    return subprocess.run(
        [SCRIPTS / "engine.sh"],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("docker", "words"),
    [
        (PODMANS, "podman version 4.3.1"),
        ("exec /nowhere/docker.real", "not found"),
        ("exit 1", "says: nothing"),
    ],
)
def test_what_is_not_dockers_own_command_is_named_at_once(tmp_path: Path, docker: str, words: str) -> None:
    """Without that, an engine was waited for, and its log shown as the reason."""
    done = engine_script(tmp_path, docker)
    assert done.returncode == 1
    assert done.stderr.startswith(f"engine.sh: {tmp_path}/docker is not Docker's own command")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"DOCKER_HOST": "unix:///nowhere.sock"},
            "nothing answers at DOCKER_HOST=unix:///nowhere.sock. Start that engine, or unset DOCKER_HOST",
        ),
        (
            {"DOCKER_HOST": "", "DOCKER_CONTEXT": "gone"},
            "nothing answers at DOCKER_CONTEXT=gone (an unknown address). Start that engine, or unset"
            " DOCKER_CONTEXT",
        ),
    ],
)
def test_an_engine_that_is_named_and_does_not_answer(
    tmp_path: Path, environ: dict[str, str], message: str
) -> None:
    done = engine_script(tmp_path, DOCKERS_OWN, environ)
    assert (done.returncode, done.stderr) == (1, f"engine.sh: {message}\n")


def test_an_engine_whose_process_was_stopped_is_named(tmp_path: Path) -> None:
    """It was started again, which does nothing, and then waited for without end."""
    (tmp_path / "of-a-service").mkdir()
    program = tmp_path / "of-a-service" / "dockerd"
    program.symlink_to(shutil.which("sleep") or "")
    with subprocess.Popen([program, "600"]) as process:
        try:
            process.send_signal(signal.SIGSTOP)
            done = engine_script(tmp_path, DOCKERS_OWN, {"DOCKER_HOST": "", "DOCKER_CONTEXT": ""})
        finally:
            process.kill()
    assert done.returncode == 1
    assert "was stopped, as by SIGSTOP. Do: sudo kill -CONT " in done.stderr


@pytest.mark.parametrize(
    "environ",
    [
        {"LANG": "C.UTF-8"},
        {"LANG": "zh_TW.UTF-8"},
        {"LANG": "zh_TW.UTF-8", "LC_ALL": "C"},
        {"LC_ALL": "", "LC_MESSAGES": "zh_TW", "LANG": "C"},
        {"MANAGER_LANG": "ZH-tw", "LC_ALL": "C"},
        {"MANAGER_LANG": "en", "LANG": "zh_TW.UTF-8"},
        {"LANG": "zhx"},
        {"LANG": "zh@pinyin"},
        {},
    ],
)
def test_the_hints_of_make_up_speak_as_the_manager_does(environ: dict[str, str]) -> None:
    """They name a column of its table, and a command of its own."""
    shown = subprocess.run(
        [SCRIPTS / "hints.sh", "manager"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        env={"PATH": os.environ["PATH"], **environ},
    )
    before = i18n.language()
    try:
        i18n.use(i18n.language_from(environ))
        [web] = [heading for heading in text_table.headings(PS_COLUMNS) if heading in ("WEB", "網頁連接埠")]
    finally:
        i18n.use(before)
    pages, logs, _stop = shown.stdout.splitlines()
    assert web in pages
    assert ("column" in pages) == (web == "WEB")
    assert parsers.parsed(logs.split()[-2:]).follow


def test_each_mutant_fits_its_file_and_names_tests_that_exist() -> None:
    root = SCRIPTS.parent
    misfits = []
    for mutant in tomllib.loads((SCRIPTS / "mutants.toml").read_text(encoding="utf-8"))["mutant"]:
        if (root / mutant["file"]).read_text(encoding="utf-8").count(mutant["old"]) != 1:
            misfits.append(f"{mutant['name']}: `old` does not stand exactly once in {mutant['file']}")
        for file, _colons, test in (name.partition("::") for name in mutant["tests"]):
            source = root / file
            if not source.exists() or (test and f"def {test}(" not in source.read_text(encoding="utf-8")):
                misfits.append(f"{mutant['name']}: no test {file}::{test}")
    assert misfits == []
