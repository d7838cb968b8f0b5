"""The manager as `pipx install .` installs it: a wheel, built and installed offline, in an environment
that holds no checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from manager import __version__
from manager.ops.hosts.package import digest_of
from tests.fleet import ROOT, RUN_ID

SOURCES = (
    "manager",
    "docker",
    "scripts",
    "config",
    "pyproject.toml",
    "setup.py",
    "Dockerfile",
    "README.md",
    "LICENSE",
    "requirements.lock",
)
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
BUNDLED = ("Dockerfile", "docker/supervisor", "docker/bot", "docker/healthcheck")


class Built(NamedTuple):
    """What `python -m build` made."""

    sdist: Path
    wheel: Path


def run(
    *command: str | Path,
    cwd: Path,
    code: int = 0,
    timeout: float = 300,
    environ: Mapping[str, str] | None = None,
    has_errors: bool = True,
) -> str:
    """Return what a command prints, with its errors unless they are not wanted."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **(environ or {})},
        check=False,
        timeout=timeout,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if has_errors else subprocess.DEVNULL,
        text=True,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A source distribution, and the wheel made from it: what the first lacks, the second cannot have."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source / name)
    # what its owner has in a checkout, and nobody else's installation may have
    (source / "docker" / "bot" / ".env").write_text("API_SECRET=never-in-a-wheel-77\n")
    (source / "docker" / "bot" / "logs").mkdir()
    (source / "docker" / "bot" / "logs" / "bot.log").write_text("never-in-a-wheel-77\n")
    (source / "config" / "active" / "mine.json").write_text('{"note": "never-in-a-wheel-77"}\n')
    settings = source / "config" / "fleet.toml"
    settings.write_text(settings.read_text().replace('# mode = "paper" ', 'mode = "live"'))
    assert 'mode = "live"' in settings.read_text()
    (source / "build" / "lib" / "manager").mkdir(parents=True)
    (source / "build" / "lib" / "manager" / "of_an_earlier_build.py").touch()
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", ".", cwd=source)
    [sdist], [wheel] = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module")
def manager(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The `manager` of an environment of its own, whose files nobody may change."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        folder / "bin" / "python",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        built.wheel,
        cwd=folder.parent,
    )
    [site] = folder.glob("lib/python3*/site-packages")
    # the packages it needs; a .pth's path is not searched for further .pth files, so the checkout's stays
    # unknown
    (site / "packages.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    for path in [site, *site.rglob("*")]:
        path.chmod(0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444)
    yield folder / "bin" / "manager"
    for path in [site, *site.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def names_in(archive: Path) -> list[str]:
    """Return the files of a wheel or a source distribution, without the folder that the latter has around
    them.
    """
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.namelist()
    with tarfile.open(archive) as sdist:
        return [member.name.partition("/")[2] for member in sdist if member.isfile()]


def tracked(*parts: str) -> set[str]:
    """Return the files of the checkout below these paths, without what tools leave there."""
    files = set()
    for part in parts:
        paths = (ROOT / part).rglob("*") if (ROOT / part).is_dir() else [ROOT / part]
        files |= {
            path.relative_to(ROOT).as_posix()
            for path in paths
            if path.is_file() and "__pycache__" not in path.parts
        }
    return files


def test_both_hold_everything_that_is_shipped(built: Built) -> None:
    shipped = tracked(*BUNDLED, "config/templates", "scripts/base-image.sh", "scripts/engine.sh")
    assert shipped <= set(names_in(built.sdist))
    assert {f"manager/_bundle/{name}" for name in shipped} <= set(names_in(built.wheel))
    modules = {name for name in tracked("manager") if not name.endswith((".po", ".pot"))}
    assert modules <= set(names_in(built.wheel))


def test_both_hold_nothing_of_the_builder(built: Built) -> None:
    for archive in built:
        names = names_in(archive)
        assert not [name for name in names if "config/active" in name or "bot/logs" in name or ".env" in name]
        assert not [name for name in names if "__pycache__" in name or "of_an_earlier_build" in name]
    with zipfile.ZipFile(built.wheel) as wheel:
        assert not [name for name in wheel.namelist() if b"never-in-a-wheel-77" in wheel.read(name)]


def test_no_import_name_but_our_own(built: Built) -> None:
    info = f"botfleet-{__version__}.dist-info"
    assert {name.partition("/")[0] for name in names_in(built.wheel)} == {"manager", info}


def test_the_version_is_that_of_the_checkout(manager: Path, tmp_path: Path) -> None:
    assert run(manager, "--version", cwd=tmp_path) == f"botfleet {__version__}\n"
    where = run(manager.with_name("python"), "-c", "import manager; print(manager.__file__)", cwd=tmp_path)
    assert where.startswith(str(manager.parents[1]))


def test_it_can_be_packed_again_for_another_machine(built: Built, manager: Path, tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from manager.ops.hosts import package;"
        " made = package.make(pathlib.Path(sys.argv[1])); print(made.digest, made.wheel)"
    )
    output = run(manager.with_name("python"), "-c", program, tmp_path, cwd=tmp_path).strip()
    digest, _space, wheel = output.partition(" ")
    assert digest == digest_of(built.wheel, ROOT / "requirements.lock")
    assert {*names_in(Path(wheel))} == {*names_in(built.wheel)}


def test_a_new_folder_is_sound_and_trades_on_paper(manager: Path, tmp_path: Path) -> None:
    out = run(manager, "init", "My Fleet", cwd=tmp_path)
    assert "cd 'My Fleet'" in out
    assert "manager up" in out
    folder = tmp_path / "My Fleet"
    assert 'name = "my-fleet"' in (folder / "config" / "fleet.toml").read_text()
    assert run(manager, "config", "--check", cwd=folder).endswith("1 config is valid\n")
    [config] = json.loads(run(manager, "config", "--json", cwd=folder, has_errors=False))
    assert (config["id"], config["mode"]) == ("bp_sol_01", "paper")
    assert "perp_grid" in run(manager, "new", "--list", cwd=folder)
    assert "mode = " not in [line[:7] for line in (folder / "config" / "fleet.toml").read_text().splitlines()]


def test_without_an_engine_the_remedy_is_a_command_of_this_machine(manager: Path, tmp_path: Path) -> None:
    run(manager, "init", cwd=tmp_path)
    out = run(manager, "up", cwd=tmp_path, code=5, environ=NO_ENGINE)
    assert "start that engine, or choose another one" in out, (
        "DOCKER_HOST names it: ours would be another one"
    )
    say = "from manager.util import bundle; print(bundle.engine_command())"
    command = run(manager.with_name("python"), "-c", say, cwd=tmp_path).split()
    assert command[0] == "bash"
    assert run(*command, "--help", cwd=tmp_path, code=1) == (
        "engine.sh: unknown option --help; the only one is --with-compose\n"
    )


@pytest.mark.engine
def test_up_in_an_empty_folder_builds_and_starts(manager: Path, tmp_path: Path) -> None:
    folder = tmp_path / f"bft-{RUN_ID}-installed"
    environ = {"GRIDBOT_MARKET": "synthetic", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    run(manager, "init", folder, cwd=tmp_path)
    try:
        out = run(manager, "up", "--wait", cwd=folder, timeout=1800, environ=environ)
        assert f"the image {folder.name}-bot:local does not exist: building it" in out
        assert "bp_sol_01" in out
        [row] = json.loads(run(manager, "ps", "--json", cwd=folder, environ=environ))
        assert row["state"] == "running"
        assert "nothing to do" in run(manager, "up", cwd=folder, environ=environ)
        assert "is up to date" in run(manager, "build", cwd=folder, environ=environ)
    finally:
        run(manager, "down", cwd=folder, environ=environ)
        subprocess.run(["docker", "rmi", f"{folder.name}-bot:local"], capture_output=True, check=False)
    assert json.loads(run(manager, "ps", "--json", cwd=folder, environ=environ))[0]["state"] == "missing"
