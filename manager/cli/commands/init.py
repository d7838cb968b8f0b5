"""Run `init`: create a folder with all that a fleet needs. Present files are kept."""

from __future__ import annotations

import os
import re
import time
import zlib
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import cast

from manager.config import templates
from manager.config.exchanges import EXCHANGES
from manager.config.fleet import NAME_PATTERN
from manager.config.variables import REFERENCE
from manager.errors import OK, UsageError, writing_to
from manager.fleet.session import Session
from manager.i18n import Text, _
from manager.typed import NamedTuple
from manager.util import atomic_file, bundle, console, formatting, ownership, strict_json
from manager.util.real_path import real_path

EXAMPLE = "bp_sol_01"
EXAMPLE_TEMPLATE = "perp_grid.json"

GITIGNORE = """\
# Keys, and what the fleet writes.
.env
/volumes/
/config/archived/
"""

ENV_EXAMPLE = """\
# Names that configs may use. Write those of yours into .env, as NAME=value; it is read literally and must
# never be committed.
# On paper, which is the default, no key is needed and none is given to any bot.

# Where `manager watch` sends alerts, as [alerts] of config/fleet.toml names it; an address of apprise.
# ALERT_URL=
"""


class File(NamedTuple):
    """Hold one file of a new fleet folder, by its path in it."""

    path: str
    content: bytes


def init(_session: Session, args: Namespace) -> int:
    """Create the folder and its files, and print the next commands."""
    folder = Path(args.folder)
    for needed in (folder, folder / "config", folder / "config" / "active", folder / "config" / "templates"):
        if (there := _nearest(needed)) and not there.is_dir():
            raise UsageError("{path} is not a folder", path=there)
    written: list[str] = []
    unchanged: list[str] = []
    for file in list(_files(folder)):
        (written if _write(folder, file) else unchanged).append(file.path)
    if not written:
        console.say(Text("{folder}: nothing to do, it is a fleet folder already", folder=folder))
        return OK
    console.say(Text("{folder}: created a fleet folder", folder=real_path(folder)))
    for path in unchanged:
        console.say(Text("{path} exists and was left unchanged", path=path))
    if ".gitignore" in unchanged:
        console.say(Text("make sure that it contains {names}", names=".env, /volumes/"))
    if any(path.startswith("config/active/") for path in written):
        console.say(
            Text("{id} trades on paper, without keys; its config is an example to change", id=EXAMPLE)
        )
    console.say(f"\n{_('next:')}")
    if real_path(folder) != Path.cwd():
        console.say(f"  cd {quote(str(folder))}")
    starts = _("builds the bot image, which takes some minutes, and starts the fleet")
    console.say(f"  manager up --wait      {starts}")
    console.say(f"  manager ps             {_('shows it')}")
    console.say(f"  manager new --list     {_('templates for more bots')}")
    return OK


def _nearest(path: Path) -> Path | None:
    """Return the first that exists of a path and its parents, dangling links included."""
    return next((folder for folder in (path, *path.parents) if os.path.lexists(folder)), None)


def _files(folder: Path) -> Iterator[File]:
    """Yield the files of a fleet folder.

    A fleet that has configs gets no example, which would start another bot.
    """
    ours = bundle.folder() / "config"
    yield File(
        "config/fleet.toml", _settings((ours / "fleet.toml").read_text(encoding="utf-8"), folder).encode()
    )
    yield File("config/schema.json", (ours / "schema.json").read_bytes())
    for template in sorted((ours / "templates").glob("*.json")):
        yield File(f"config/templates/{template.name}", template.read_bytes())
    if not any((folder / "config" / "active").glob("*.json")):
        config = strict_json.read(ours / "templates" / EXAMPLE_TEMPLATE)
        example = _example(cast(templates.Config, config))
        yield File(f"config/active/{EXAMPLE}.json", atomic_file.encode_json(example))
    yield File(".env.example", _variables().encode())
    yield File(".gitignore", GITIGNORE.encode())


def _write(folder: Path, file: File) -> bool:
    """Return whether the file was written; a present one is kept."""
    path = folder / file.path
    with writing_to(path):
        ownership.make_folder(path.parent)
        try:
            atomic_file.create(path, file.content)
        except FileExistsError:
            return False
    return True


def _settings(shipped: str, folder: Path) -> str:
    """Return our settings with every line commented out, because a checkout's may be customised.

    Only the name is set.
    """
    lines = [line if not line or line.startswith("#") else f"# {line}" for line in shipped.splitlines()]
    name = f'name = "{_name(folder)}"'
    return "\n".join(re.sub(r"^# name = \S+", name, line) for line in lines) + "\n"


def _variables() -> str:
    """Return the names of the bundled bot's credentials, by exchange."""
    parts = [ENV_EXAMPLE]
    for name, exchange in EXCHANGES.items():
        values = exchange.template.values()
        variables = [variable for value in values for variable, _default in REFERENCE.findall(value)]
        parts.append(f"# {name}\n" + "".join(f"# {variable}=\n" for variable in variables))
    return "\n".join(parts)


def _name(folder: Path) -> str:
    """Return the folder's name as a valid fleet name: two fleets on one engine need different names.

    What is left of a name that is not ASCII may be the same for two folders, so a checksum is appended.
    """
    full = real_path(folder).name
    name = re.sub(r"[^a-z0-9_-]+", "-", full.lower()).strip("-_")
    if not full.isascii():
        name = f"{name or 'fleet'}-{zlib.crc32(os.fsencode(full)) & 0xFFFF:04x}"
    return name if NAME_PATTERN.fullmatch(name) else "botfleet"


def _example(template: templates.Config) -> templates.Config:
    """Return the shipped template as a config. It gets a free port when it is started."""
    wanted = templates.NewConfig(EXAMPLE, template["metadata"]["symbol"], 0)
    now = formatting.iso(time.time())
    config = templates.fill(template, wanted, now, is_bundled_bot=True)
    del config["daemon_config"]["web_port"]
    return config
