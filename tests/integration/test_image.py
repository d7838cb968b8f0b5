"""The image's promises: what docker/README.md says of it, and what a build leaves behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from manager.config import steering
from manager.config.handover import MANAGERS_OWN
from manager.engine.client import Engine
from manager.engine.image_build import build_image
from manager.errors import ManagerError
from manager.util import bundle
from tests.integration import package_index
from tests.integration.conftest import ROOT, RUN_ID

pytestmark = pytest.mark.engine

BASE = "botfleet-base:bookworm"
"""Every bot image begins with its layers, and no build can write there."""
STRANGER = ["--user", "4321:4321", "--read-only", "--cap-drop", "ALL", "--network", "none"]


@pytest.fixture
def tag(request: pytest.FixtureRequest) -> Iterator[str]:
    """A tag of this test's own."""
    name = f"bft-{RUN_ID}-{request.node.originalname.replace('_', '-')}:local"[-120:]
    yield name
    subprocess.run(["docker", "rmi", "-f", name], capture_output=True, check=False)


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """Somebody's bot, as it lies in their folder."""
    folder = tmp_path / "bot"
    files = {
        "run.py": "from database import store\nprint(store.NAME)\n",
        "database/__init__.py": "",
        "database/store.py": "NAME = 'a package of the bot'\nimport os\nos.getenv('THEIR_PHRASE')\n",
        "logs/old.log": "x" * 1000,
        ".env": "API_SECRET=never-in-an-image-77\n",
        ".git/config": "[core]\n",
        "old/python2.py": "print 'hello'\n",
        "tool.sh": "#!/bin/sh\necho ran\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "tool.sh").chmod(0o700)
    (folder / "run.py").chmod(0o600)
    return folder


def build(tag: str, bot: Path | None = None, project: Path = ROOT) -> tuple[str, list[str]]:
    messages: list[str] = []
    with closing(Engine()) as engine:
        return build_image(engine, project, tag=tag, bot_dir=bot, say=messages.append), messages


def docker(*args: str) -> str:
    done = subprocess.run(["docker", *args], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_image(image: str, *command: str) -> str:
    """What a command prints that runs as any user, with nothing writable."""
    entry, *rest = command
    return docker(
        "run",
        "--rm",
        "--label",
        f"botfleet.test-run={RUN_ID}",
        *STRANGER,
        "--entrypoint",
        entry,
        image,
        *rest,
    )


def config_of(image: str) -> dict[str, Any]:
    return dict(json.loads(docker("image", "inspect", "--format", "{{json .Config}}", image)))


def layers_of(image: str) -> list[str]:
    """Return the digests of an image's layers, from the lowest."""
    return list(json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image)))


def everything_in(image: str, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every byte that a build has added to the base image: history, definition, and each file's name and
    content, layer by layer.
    """
    base = layers_of(BASE)
    assert layers_of(image)[: len(base)] == base
    yield "history", docker("history", "--no-trunc", image).encode()
    yield "inspect", docker("image", "inspect", image).encode()
    saved = folder / "image.tar"
    docker("save", "--output", str(saved), image)
    with tarfile.open(saved) as outer:
        manifest = outer.extractfile("manifest.json")
        assert manifest is not None
        inherited = json.load(manifest)[0]["Layers"][: len(base)]
        for part in outer:
            if part.name in inherited or (content := outer.extractfile(part)) is None:
                continue
            try:
                with tarfile.open(fileobj=content, mode="r:*") as layer:
                    yield part.name, "\n".join(layer.getnames()).encode()
                    for file in layer:
                        if (inner := layer.extractfile(file) if file.isreg() else None) is not None:
                            yield f"{part.name}: {file.name}", inner.read()
            except tarfile.ReadError:
                content.seek(0)
                yield part.name, content.read()


def test_the_image_keeps_its_contract(bot_image: str) -> None:
    config = config_of(bot_image)
    assert config["User"] == "10001:10001"
    assert config["WorkingDir"] == "/app"
    assert config["Labels"]["botfleet.supervisor"] == "1"
    assert config["Labels"]["botfleet.open-orders"] == "/opt/venv/bin/python -I -u /app/open_orders.py"
    assert config["Entrypoint"][-1] == "/opt/botfleet/supervisor/__main__.py"
    assert config.get("Healthcheck") is None
    assert config.get("Volumes") is None
    environ = dict(line.split("=", 1) for line in config["Env"])
    assert environ["BOTFLEET_BOT_COMMAND"] == "/opt/venv/bin/python -I -u /app/run.py"
    assert environ["BOTFLEET_CANCEL_COMMAND"] == "/opt/venv/bin/python -I -u /app/cancel_orders.py"
    assert environ["HOME"] == "/tmp"
    assert environ["PYTHONUNBUFFERED"] == "1"


def test_everything_is_there_and_readable_by_any_user(bot_image: str) -> None:
    show = (
        "stat -c '%a %u %n' /app /app/logs /data /botfleet/state /botfleet/secrets /run/botfleet "
        "/opt/botfleet/healthcheck; "
    )
    unreadable = "find /app /opt -type f ! -perm -444 -o -type d ! -perm -555 -o -perm /022 ! -type l"
    assert in_image(bot_image, "sh", "-c", show + unreadable).splitlines() == [
        "755 0 /app",
        "755 10001 /app/logs",
        "755 10001 /data",
        "755 10001 /botfleet/state",
        "700 10001 /botfleet/secrets",
        "1777 0 /run/botfleet",
        "755 0 /opt/botfleet/healthcheck",
    ]


def test_python_is_compiled_and_its_tools_are_left_out(bot_image: str) -> None:
    look = (
        "import glob, os, sys; import gridbot; print(os.path.exists(gridbot.__cached__));"
        " print(sys.flags.dont_write_bytecode);"
        " print(glob.glob('/opt/pip') + glob.glob('/opt/venv/lib/python3*/site-packages/pip'))"
    )
    assert in_image(bot_image, "/opt/venv/bin/python", "-c", look).split() == ["True", "1", "[]"]


def test_the_bundled_bot_runs_isolated_and_what_lies_beside_it_is_not_loaded(bot_image: str) -> None:
    environ = dict(line.split("=", 1) for line in config_of(bot_image)["Env"])
    command = environ["BOTFLEET_BOT_COMMAND"]
    hostile = (
        "mkdir /dev/shm/x; cd /dev/shm/x;"
        " echo 'print(\"code ran\")' | tee antigravity.py > sitecustomize.py;"
        " export PYTHONPATH=/dev/shm/x PYTHONSTARTUP=/dev/shm/x/antigravity.py PYTHONINSPECT=1"
        " PYTHONWARNINGS=all:0:antigravity.x:0:0 BROWSER='sh -c \"echo code ran\" %s';"
    )
    isolated = in_image(bot_image, "sh", "-c", f"{hostile} {command} --help 2>&1")
    assert "--grid-upper" in isolated
    assert "code ran" not in isolated
    plain = in_image(bot_image, "sh", "-c", f"{hostile} {command.replace(' -I', '')} --help 2>&1 || true")
    assert "code ran" in plain, "the attack is one"


HARMLESS = frozenset(
    {
        *("COLUMNS", "LINES", "TERM", "TZ", "POSIXLY_CORRECT", "AIOHTTP_NOSENDFILE", "SOURCE_DATE_EPOCH"),
        *("CONTENT_LENGTH", "CONTENT_TYPE", "PATH_INFO", "QUERY_STRING", "SCRIPT_NAME", "HTTPS"),  # of CGI
        *("SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "ENSUREPIP_OPTIONS"),
        *("GNOME_DESKTOP_SESSION_ID", "KDE_FULL_SESSION", "WAYLAND_DISPLAY", "COINCURVE_BUILDING_DOCS"),
        *("APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "USERNAME", "USERPROFILE"),  # of other systems
        *("PATHEXT", "PROCESSOR_ARCHITECTURE", "PROCESSOR_ARCHITEW6432", "PROCESSOR_IDENTIFIER"),
        *("PROGRAMFILES", "SYSTEMROOT", "LIBPATH", "MACOSX_DEPLOYMENT_TARGET"),
        *("DEB_PYTHON_INSTALL_LAYOUT", "VSCMD_ARG_TGT_ARCH", "PLAT", "FOO"),
        *("OTHER_BOTS_POSITION", "ASTER_PRIVATE_KEY", "ASTER_SECRET"),  # the bundled bot's own
    }
)
"""Variables that the image's Python reads, and that run nothing and send nothing elsewhere."""


def test_a_config_sets_none_of_the_variables_that_the_images_python_obeys(bot_image: str) -> None:
    """Also with `-I`, which leaves alone what a module itself reads: sysconfig imports what one names."""
    of_modules = (
        "import os, re, sys\n"
        "read = re.compile(r'environ(?:\\.get|\\.pop|\\.setdefault)?\\s*[\\[(]\\s*[\\'\"]([A-Z_]+)[\\'\"]')\n"
        "for root in filter(os.path.isdir, sys.path[1:]):\n"
        "    for folder, _, names in os.walk(root):\n"
        "        for name in names:\n"
        "            if name.endswith('.py'):\n"
        "                text = open(os.path.join(folder, name), errors='replace').read()\n"
        "                print(*read.findall(text), sep='\\n')\n"
    )
    names = set(in_image(bot_image, "/opt/venv/bin/python", "-c", of_modules).split())
    assert {"PYTHONPATH", "HTTPS_PROXY", "PY_SAX_PARSER", "_PYTHON_SYSCONFIGDATA_NAME"} & names
    free = {name for name in names if steering.steered_by(name) is None and name not in MANAGERS_OWN}
    assert free - HARMLESS - {*steering.HARMLESS} == set()


def test_the_bundled_bot_has_the_exchanges_it_knows(bot_image: str) -> None:
    names = (
        "import ccxt; print([getattr(ccxt, name)().id for name in 'backpack aster paradex lighter "
        "apex'.split()])"
    )
    assert in_image(bot_image, "/opt/venv/bin/python", "-c", names) == (
        "['backpack', 'aster', 'paradex', 'lighter', 'apex']\n"
    )


PAGE_FILES = "find /opt/venv/lib/python3*/site-packages/gridbot/web/page -name 'uplot*' -perm -0444"


def test_the_bundled_bot_has_what_draws_its_charts(bot_image: str) -> None:
    left = "; ls -d /library /image 2>/dev/null || echo none"
    *files, none = in_image(bot_image, "sh", "-c", PAGE_FILES + left).split()
    assert {Path(line).name for line in files} == (
        {"uplot.js", "uplot.css"} if bundle.chart_library(ROOT).is_dir() else set()
    )
    assert none == "none"


def test_it_is_built_without_what_draws_charts_and_again_with_it(tag: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(ROOT / "docker", project / "docker", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Dockerfile", project)
    (project / "manager").mkdir()
    without, _messages = build(tag, project=project)
    assert in_image(tag, "sh", "-c", PAGE_FILES) == ""
    library = project / "manager" / bundle.LIBRARY
    library.mkdir(parents=True)
    (library / "uplot.js").write_text("// draws")
    built, _messages = build(tag, project=project)
    assert built != without
    assert in_image(tag, "sh", "-c", PAGE_FILES).strip().endswith("/gridbot/web/page/lib/uplot.js")


def test_a_second_build_does_nothing(tag: str, bot: Path, tmp_path: Path) -> None:
    first, messages = build(tag, bot)
    assert messages[-1].startswith(f"building image {tag} on ")
    assert build(tag, bot) == (first, [f"image {tag} is up to date"])

    # Another checkout, with other time stamps and another umask, holds the same files.
    checkout = tmp_path / "checkout"
    for name in ("Dockerfile", "docker"):
        path = ROOT / name
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, _made(checkout) / name)
    (bot / "database" / "store.py").touch()
    (bot / "database" / "store.py").chmod(0o600)
    assert build(tag, bot, checkout) == (first, [f"image {tag} is up to date"])

    (bot / "database" / "store.py").write_text("NAME = 'another'\n")
    assert build(tag, bot)[0] != first


def test_a_bot_of_ones_own_is_copied_as_it_is_but_for_its_keys(tag: str, bot: Path, tmp_path: Path) -> None:
    image, messages = build(tag, bot)
    assert config_of(image)["Labels"]["botfleet.open-orders"] == "", "this bot cannot be asked"
    assert "BOTFLEET_CANCEL_COMMAND=" in config_of(image)["Env"], "nor can it cancel"
    assert "BOTFLEET_BOT_COMMAND=/opt/venv/bin/python -u /app/run.py" in config_of(image)["Env"]
    assert config_of(image)["Labels"]["botfleet.variables"] == "THEIR_PHRASE"
    assert f"not copied into the image, because it may contain keys: {bot / '.env'}" in messages
    assert in_image(image, "/opt/venv/bin/python", "/app/run.py") == "a package of the bot\n"
    assert in_image(image, "/app/tool.sh") == "ran\n"
    assert in_image(image, "ls", "-A", "/app/logs") == ""
    assert (
        in_image(image, "sh", "-c", "cd /app; ls -A") == "__pycache__\ndatabase\nlogs\nold\nrun.py\ntool.sh\n"
    )
    assert [
        name for name, content in everything_in(image, tmp_path) if b"never-in-an-image-77" in content
    ] == []


def test_mirrors_and_certificates_are_used_and_leave_no_trace(
    tag: str, bot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The comment differs from run to run: a step that the build has in its cache asks no index.
    (bot / "requirements.txt").write_text(f"# {RUN_ID}\n{package_index.PACKAGE}\n")
    with package_index.serving(tmp_path) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index.url + "/more")
        monkeypatch.setenv("BOTFLEET_CA", str(index.authority))
        monkeypatch.setenv(
            "BOTFLEET_APT_MIRROR", f"http://apt-reader:apt-password-91@127.0.0.1:{index.port}/debian"
        )
        image, _messages = build(tag, bot)
        assert any(path.endswith(".whl") for path in index.asked)
    price = f"import {package_index.PACKAGE} as quotes; print(quotes.PRICE)"
    assert in_image(image, "/opt/venv/bin/python", "-c", price) == "42\n"
    content = list(everything_in(image, tmp_path))
    assert any(b"PRICE = 42" in data for _name, data in content), "the search misses what is there"
    traces = [*index.traces, b"apt-reader", b"apt-password-91"]
    assert [(name, trace) for name, data in content for trace in traces if trace in data] == []


@pytest.mark.long_form
def test_a_lock_file_is_checked_against_its_hashes(
    tag: str, bot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bot / "requirements.lock").write_text(f"{package_index.PACKAGE}==1.0 --hash=sha256:{'0' * 64}\n")
    with package_index.serving(tmp_path) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        monkeypatch.setenv("BOTFLEET_CA", str(index.authority))
        with pytest.raises(ManagerError) as caught:
            build(tag, bot)
    assert "DO NOT MATCH THE HASHES" in str(caught.value)
    assert package_index.PASSWORD not in str(caught.value)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
