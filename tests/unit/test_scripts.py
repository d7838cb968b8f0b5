"""The shell scripts: when .venv has to be made again, and how words pass through a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
