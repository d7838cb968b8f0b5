"""Build the bot image: base, build context, build.

Only the last step needs the Docker CLI: the SDK has no BuildKit.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from manager.engine import bot_variables, build_mirrors, docker_cli, endpoint, labels
from manager.engine.client import Engine
from manager.errors import EngineError, EngineUnreachable, ManagerError, NotFound, TimedOut
from manager.i18n import _
from manager.util import bundle, scratch
from manager.util.real_path import real_path

OFFICIAL_BASE = "debian@sha256:abd67ffcfa541b485a3dff59865ab629aa048a6c613e639d36e7456b0b229241"
"""debian:bookworm-slim of 4 August 2026, as Docker's repo-info repository lists it. The build itself installs
Debian's later updates. Change it together with the Dockerfile's default."""
LOCAL_BASE = "debian:bookworm-slim"
"""What a person has pulled where no registry can be reached."""
OWN_BASE = "botfleet-base:bookworm"
BASE_LABEL = "botfleet.base=bookworm"
INPUTS_LABEL = "botfleet.inputs"
BASE_SCRIPT = Path("scripts", "base-image.sh")
BUNDLED_BOT = Path("docker", "bot")
BESIDE_RUN: Mapping[str, str] = {
    "open_orders.py": "OPEN_ORDERS",
    "cancel_orders.py": "CANCEL_ORDERS",
    "preflight.py": "PREFLIGHT",
    "close_position.py": "CLOSE_POSITION",
}
"""Programs beside a bot's run.py (docker/README.md) → the build argument that is empty if the file is
missing.
"""

OWN_BOT: Mapping[str, str] = {"PYTHON": "/opt/venv/bin/python -u", "PACKAGE": ""}
"""Build arguments for a bot of the user's own, which may import what lies beside its run.py."""

PULL_TIMEOUT_S = 180  # 28 MB; a registry that is not there is refused by the engine itself within 15 s
BUILD_TIMEOUT_S = 1800
FAILURE_LINES = 40

# Never part of a bot: what tools leave behind, its old logs (a mount point in the image), and files with
# keys.
LEFT_OUT = {
    "__pycache__",
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    "node_modules",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
}
LEFT_OUT_AT_TOP = {"logs"}
SECRET_FILE = re.compile(r"\.env(\..*)?$")

Say = Callable[[str], None]


def build_image(
    engine: Engine,
    project_dir: Path,
    *,
    tag: str,
    bot_dir: Path | None,
    no_cache: bool = False,
    say: Say,
    try_bot: Callable[[str], None] | None = None,
) -> str:
    """Build `tag` from our Dockerfile and `docker/`, with the bundled bot or the one in `bot_dir`. Returns
    its id.

    An image whose label shows that it was made from the same files is kept: a new id would look like a new
    version of every bot. `no_cache` builds everything again, including the base. `try_bot` is called with the
    new image's name before it becomes `tag`, and may raise to prevent that.
    """
    ours = bundle.build_folder(project_dir)
    bot = _bot_folder(bot_dir or ours / BUNDLED_BOT)
    with TemporaryDirectory(prefix="botfleet-context-", dir=scratch.folder()) as folder:
        context = Path(folder)
        kept_back = _assemble(ours, bot, context)
        if bot_dir is None:
            _add_library(ours, context)
        names = bot_variables.find(bot) if bot_dir else ()
        inputs = _digest(context, names)
        image = _image(engine, tag)
        if not no_cache and image and _labels(image).get(INPUTS_LABEL) == inputs:
            say(_("image {tag} is up to date").format(tag=tag))
            return str(image["Id"])
        for file in kept_back:
            say(_("not copied into the image, because it may contain keys: {file}").format(file=file))
        if names:
            say(_("configs may reference what this bot reads: {names}").format(names=", ".join(names)))
        cli = docker_cli.builder()
        settings = build_mirrors.from_environment(os.environ)
        with build_mirrors.as_files(settings) as secrets:
            lines = settings.base_settings(secrets["ca.pem"])
            base = _base(engine, ours / BASE_SCRIPT, lines, fresh=no_cache, say=say)
            say(_("building image {tag} on {base}").format(tag=tag, base=base))
            options = [f"--secret=id={name},src={file}" for name, file in secrets.items()]
            options += [f"--build-arg=BASE={base}", f"--label={INPUTS_LABEL}={inputs}"]
            options += _bot_options(bot, None if bot_dir is None else names)
            fresh = ["--no-cache"] if no_cache else []
            if try_bot is None:
                _build(cli, context, [*options, f"--tag={tag}", *fresh])
            else:
                with _trial(engine, tag) as trial:
                    _build(cli, context, [*options, f"--tag={trial}", *fresh])
                    say(_("trying the bot in the new image"))
                    try_bot(trial)
                    _build(cli, context, [*options, f"--tag={tag}"])
    return str(engine.image(tag)["Id"])


def _bot_folder(folder: Path) -> Path:
    bot = real_path(folder)
    if not bot.is_dir():
        raise ManagerError("cannot build an image from {folder}: no such folder", folder=bot)
    if not (bot / "run.py").is_file():
        raise ManagerError("cannot build an image from {folder}: it contains no run.py", folder=bot)
    return bot


@contextmanager
def _trial(engine: Engine, tag: str) -> Iterator[str]:
    """Provide the name of an image that is tried before it becomes `tag`, and take it away again."""
    trial = f"{tag.partition(':')[0]}:trial"
    try:
        yield trial
    finally:
        engine.untag(trial)


def _bot_options(bot: Path, names: Sequence[str] | None) -> list[str]:
    """Return what the build has to know of the bot. `names`: what it reads; None for the bundled one."""
    options = [
        f"--build-arg={argument}="
        for program, argument in BESIDE_RUN.items()
        if not (bot / program).is_file()
    ]
    if names is not None:
        options += [f"--build-arg={argument}={value}" for argument, value in OWN_BOT.items()]
        options.append(f"--label={labels.VARIABLES}={','.join(names)}")
    return options


def _assemble(ours: Path, bot: Path, context: Path) -> list[Path]:
    """Copy what the Dockerfile needs, with the bot in the bundled one's place. Returns excluded files with
    keys.

    A folder assembled for the build works with all engines: 20.10 does not support named build contexts.
    """
    try:
        shutil.copy(ours / "Dockerfile", context)
        _copy(ours / "docker" / "supervisor", context / "docker" / "supervisor")
        shutil.copy(ours / "docker" / "healthcheck", context / "docker")
        return _copy(bot, context / BUNDLED_BOT)
    except OSError as err:
        file, why = _not_copied(err)
        raise ManagerError(
            "cannot copy {file} to {folder} for the image: {why}", file=file or bot, folder=context, why=why
        ) from err


def _add_library(ours: Path, context: Path) -> None:
    """Copy what draws the charts of the bundled bot's page, where it was got; the page does without it."""
    library = bundle.chart_library(ours)
    if library.is_dir():
        _copy(library, context / "manager" / bundle.LIBRARY)


def _not_copied(err: OSError) -> tuple[str | None, object]:
    """Return the first file of an error and why: of several files there is a list, and a full disk names
    none.
    """
    if isinstance(err, shutil.Error) and err.args and isinstance(err.args[0], list):
        source, _target, why = err.args[0][0]
        return source, why
    return err.filename, err.strerror or err


def _copy(source: Path, target: Path) -> list[Path]:
    kept_back: list[Path] = []

    def ignore(folder: str, names: list[str]) -> set[str]:
        left_out = {name for name in names if name in LEFT_OUT or _is_special(Path(folder, name))}
        if Path(folder) == source:
            left_out |= LEFT_OUT_AT_TOP & set(names)
        secret = {name for name in names if SECRET_FILE.match(name)}
        kept_back.extend(Path(folder, name) for name in sorted(secret))
        return left_out | secret

    shutil.copytree(source, target, symlinks=True, ignore=ignore, dirs_exist_ok=True)
    return kept_back


def _is_special(path: Path) -> bool:
    """Return whether it is a socket, pipe or device, which cannot be copied."""
    mode = path.lstat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def _digest(context: Path, names: Sequence[str] = ()) -> str:
    """Return a hash of the names, types and contents of all files, and of the variables that the bot reads.

    Timestamps and umasks differ between checkouts.
    """
    digest = hashlib.sha256(",".join(names).encode())
    for path in sorted(context.rglob("*")):
        if path.is_symlink():
            kind, content = b"link", os.fsencode(path.readlink())
        elif path.is_dir():
            kind, content = b"folder", b""
        else:
            kind, content = b"program" if path.stat().st_mode & 0o111 else b"file", path.read_bytes()
        for part in (kind, os.fsencode(path.relative_to(context)), content):
            digest.update(b"%d:" % len(part) + part)
    return digest.hexdigest()


def _image(engine: Engine, name: str) -> dict[str, Any] | None:
    try:
        return engine.image(name)
    except NotFound:
        return None


def _labels(image: Mapping[str, Any]) -> Mapping[str, str]:
    return (image.get("Config") or {}).get("Labels") or {}


def _base(engine: Engine, script: Path, settings: str, *, fresh: bool, say: Say) -> str:
    """Return the base image: the official one, or one made from Debian's packages if no registry can be
    reached.
    """
    if not fresh:
        for tag in (OFFICIAL_BASE, OWN_BASE):
            if _image(engine, tag):
                return tag
    say(_("fetching {base}").format(base=OFFICIAL_BASE))
    try:
        engine.pull(OFFICIAL_BASE, PULL_TIMEOUT_S)
        return OFFICIAL_BASE
    except EngineUnreachable:
        raise
    except (EngineError, TimedOut) as err:
        if _image(engine, LOCAL_BASE):
            return LOCAL_BASE
        say(
            _("no registry provides {base} ({why}); building a base image from Debian's packages").format(
                base=OFFICIAL_BASE, why=err
            )
        )
    _make_base(engine, script, settings)
    return OWN_BASE


def _make_base(engine: Engine, script: Path, settings: str) -> None:
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    if as_root and shutil.which("sudo") is None:
        raise ManagerError(
            "cannot build a base image: this requires root or sudo. As root, run `{command}` once, or"
            " `docker pull {base}` where a registry can be reached",
            command=_for_root(os.environ),
            base=OFFICIAL_BASE,
        )
    refused: EngineError | None = None
    with subprocess.Popen(
        [*as_root, "bash", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False
    ) as maker:
        assert maker.stdin is not None
        assert maker.stdout is not None
        maker.stdin.write(settings.encode())
        maker.stdin.close()
        try:
            engine.import_image(maker.stdout, OWN_BASE, [f"LABEL {BASE_LABEL}"])
        except EngineError as error:
            refused = error
    if maker.returncode != 0:
        if refused is None:
            engine.untag(OWN_BASE)  # the engine took half a tar for a whole one
        raise ManagerError("cannot build a base image: debootstrap failed, see above")
    if refused is not None:
        raise EngineError("cannot import the base image: {why}", why=refused) from refused


def _for_root(environ: Mapping[str, str]) -> str:
    """Return the command with which root builds for the engine that this user has: a rootless one, or that of
    a context, is not root's own.
    """
    host = endpoint.of(environ).host
    is_roots = host == endpoint.UNIX + endpoint.DEFAULT_SOCKET
    return "manager build" if is_roots else f"DOCKER_HOST={shlex.quote(host)} manager build"


def _build(cli: str, context: Path, options: Sequence[str]) -> None:
    # --network=host: the build sees the names, the VPN and the loopback mirrors that this machine sees.
    command = [cli, "build", "--network=host", *options, str(context)]
    environ = os.environ | {
        "DOCKER_BUILDKIT": "1",
        "BUILDX_BUILDER": _context(cli),  # the engine's own; others lack local images
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",  # they hold the time of the build, and so change the id
    }
    watched = sys.stderr.isatty()
    try:
        completed = subprocess.run(
            command,
            env=environ,
            stdout=None if watched else subprocess.PIPE,
            stderr=None if watched else subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise TimedOut("the build of the image took longer than {limit} s", limit=BUILD_TIMEOUT_S) from err
    if completed.returncode != 0:
        lines = [] if watched else completed.stdout.splitlines()[-FAILURE_LINES:]
        raise ManagerError(
            "cannot build the image{output}",
            output="".join(f"\n  {line}" for line in [":", *lines]) if lines else _(", see above"),
        )


def _context(cli: str) -> str:
    """Return the Docker context in use, which is also the name of the engine's own builder."""
    command = [cli, "version", "--format", "{{.Client.Context}}"]
    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, timeout=docker_cli.ANSWERS_S, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise TimedOut(
            "`docker {command}` took longer than {limit} s", command="version", limit=docker_cli.ANSWERS_S
        ) from err
    if completed.returncode != 0:
        why = (completed.stderr.strip().splitlines() or [_("no reason given")])[-1]
        raise EngineUnreachable("cannot build the image: {why}", why=why)
    return completed.stdout.strip()
