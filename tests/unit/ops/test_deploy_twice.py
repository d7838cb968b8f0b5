"""Two installations of one package in one folder: the first one's connection was cut, and it goes on."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from manager.ops.hosts import deploy
from tests.fleet import eventually

DIGEST = "0123456789abcdef"
PYTHON = """\
#!/bin/sh
echo "$*" >>"{folder}/log"
case "$1" in
  -m)
    mkdir -p "$3/bin"
    printf '#!/bin/sh\n' >"$3/bin/python"
    chmod +x "$3/bin/python"
    read -r _ <"{folder}/gate"
    ;;
  *) exec "{python}" "$@" ;;
esac
"""
"""A python3 whose `venv` takes until the gate is opened, and whose pip has nothing to do."""


def archive() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("requirements.lock"))
    return stream.getvalue()


def started(folder: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    words = ["sh", "-c", deploy.INSTALL, str(folder), DIGEST]
    process = subprocess.Popen(words, env=environ, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(archive())
    process.stdin.close()
    return process


def test_the_second_waits_and_takes_what_the_first_has_installed(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    os.mkfifo(tmp_path / "gate")
    python = tmp_path / "bin" / "python3"
    python.write_text(PYTHON.format(folder=tmp_path, python=sys.executable))
    python.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    (project := tmp_path / "desk").mkdir()

    def asked(word: str) -> int:
        return sum(word in line for line in (tmp_path / "log").read_text().splitlines())

    first = started(project, environ)
    eventually(lambda: asked("-m venv") == 1, what="the first one's environment")
    inode = (project / ".botfleet" / DIGEST).stat().st_ino
    second = started(project, environ)
    try:
        eventually(lambda: asked("fcntl") == 2 or asked("-m venv") == 2, what="the second one")
        assert (project / ".botfleet" / DIGEST).stat().st_ino == inode, "nobody works in it but the first"
    finally:
        with (tmp_path / "gate").open("w") as gate:
            gate.write("\n")
        assert [first.wait(60), second.wait(60)] == [0, 0]
    assert asked("-m venv") == 1
    assert (project / ".botfleet" / DIGEST / "complete").exists()


def test_what_has_failed_leaves_nothing_and_says_if_the_disk_is_full(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python3"
    python.write_text(f'#!/bin/sh\ncase "$1" in -m) exit 1 ;; *) exec "{sys.executable}" "$@" ;; esac\n')
    python.chmod(0o755)
    (project := tmp_path / "desk").mkdir()

    def tried(free_kb: int) -> str:
        df = tmp_path / "bin" / "df"
        df.write_text(f"#!/bin/sh\necho Filesystem\necho none 9999999 1 {free_kb} 1% /\n")
        df.chmod(0o755)
        words = ["sh", "-c", deploy.INSTALL, str(project), DIGEST]
        environ = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
        done = subprocess.run(words, env=environ, input=archive(), capture_output=True, check=False)
        assert done.returncode != 0
        assert [path.name for path in (project / ".botfleet").iterdir()] == ["lock"]
        return done.stderr.decode()

    assert "its disk has 4 MB left, and an installation takes 110 MB" in tried(4000)
    assert tried(10_000_000) == ""


def test_one_whose_package_does_not_arrive_holds_up_no_other(tmp_path: Path) -> None:
    """Its connection is cut, and sshd does not know."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "log").touch()
    os.mkfifo(tmp_path / "gate")
    python = tmp_path / "bin" / "python3"
    python.write_text(PYTHON.format(folder=tmp_path, python=sys.executable).replace("read -r _ <", ": #"))
    python.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    (project := tmp_path / "desk").mkdir()
    words = ["sh", "-c", deploy.INSTALL, str(project), DIGEST]
    with subprocess.Popen(words, env=environ, stdin=subprocess.PIPE) as cut:
        assert cut.stdin is not None
        eventually(lambda: list(project.glob(".botfleet/*")), what="the first one's folder")
        assert started(project, environ).wait(60) == 0
        assert (project / ".botfleet" / DIGEST / "complete").exists()
        cut.stdin.close()
        assert cut.wait(60) != 0
    assert (project / ".botfleet" / DIGEST / "complete").exists(), "it takes nothing of another's along"
