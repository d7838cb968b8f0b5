"""Define a backup's manifest, and the names that its members may have. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from manager.config.models import ID_PATTERN
from manager.i18n import Text
from manager.typed import NamedTuple

SCHEMA = 1
MANIFEST = "manifest.json"
HISTORY = "state/history.db"
FIXED_MEMBERS = frozenset({"config/fleet.toml", "compose.yaml", "state/fleet.json", HISTORY, MANIFEST})
MAX_PATH = 1000
MOVE_PATTERN = re.compile(r"[A-Za-z0-9]{0,64}")
UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, bytes that are not UTF-8, line ends. People type blanks of any kind into names."""


class Manifest(NamedTuple):
    """Describe a backup's content.

    `files`: member → {bytes, sha256, kind}, and a database's rows; `instances`: id → {config_file, faults},
    and of one that was moved between machines its generation, and by which move.
    `is_whole`: the whole fleet was requested; `is_complete`: everything requested is in it.
    """

    fleet: str
    made_at: str
    is_whole: bool
    is_complete: bool
    files: dict[str, dict[str, Any]]
    instances: dict[str, dict[str, Any]]
    image: dict[str, Any] | None
    left_out: list[dict[str, str]]

    def unsaved_instances(self) -> list[str]:
        """Return the instances that are not completely in it.

        Earlier versions said nothing of a database that lay behind a thousand other files, or behind a link:
        an instance of which something was left out, and no database saved, counts as well.
        """
        return [
            instance
            for instance, facts in self.instances.items()
            if facts["faults"] or (self._has_left_out(instance) and not self.has_database(instance))
        ]

    def _has_left_out(self, instance: str) -> bool:
        return any(entry["path"].startswith(f"database/{instance}/") for entry in self.left_out)

    @property
    def is_full(self) -> bool:
        """Return whether it backs up the whole fleet, so that older backups may be removed."""
        return self.is_whole and self.is_complete

    def generation(self, instance: str) -> int:
        """Return which generation of an instance is in it: how often it had been moved to another machine."""
        return int(self.instances[instance].get("generation", 0))

    def move(self, instance: str) -> str:
        """Return the move that made its generation; empty where none did, or an earlier version saved it."""
        return str(self.instances[instance].get("move", ""))

    def database_members(self, instance: str) -> list[str]:
        """Return the members of an instance's database folder."""
        return [member for member in self.files if member.startswith(f"database/{instance}/")]

    def has_database(self, instance: str) -> bool:
        """Return whether a database of the instance is in it."""
        return any(self.files[member].get("kind") == "database" for member in self.database_members(instance))

    def to_json(self) -> bytes:
        return (
            json.dumps({"schema": SCHEMA, **self._asdict()}, indent=1, ensure_ascii=False) + "\n"
        ).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Manifest:
        """Parse a manifest. Raises ValueError, KeyError, TypeError or AttributeError if it is invalid."""
        value = json.loads(raw)
        if value.pop("schema") != SCHEMA:
            raise ValueError("schema")
        manifest = cls(**value)
        for path, facts in manifest.files.items():
            if (
                not is_allowed(path)
                or not isinstance(facts["bytes"], int)
                or not isinstance(facts["sha256"], str)
                or not _are_rows(facts.get("rows", {}))
            ):
                raise ValueError(path)
        for instance, facts in manifest.instances.items():
            config_file = facts["config_file"]
            is_number = isinstance(facts.get("generation", 0), int)
            is_move = MOVE_PATTERN.fullmatch(str(facts.get("move", ""))) is not None
            is_file = config_file is None or is_allowed(config_file)
            if not (ID_PATTERN.fullmatch(instance) and is_file and is_number and is_move):
                raise ValueError(instance)
        return manifest


def _are_rows(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(count, int) for count in value.values())


def is_allowed(name: str) -> bool:
    """Return whether a backup may have a member of this name.

    That is a fixed name, or one below config/active/ or database/ID/.
    """
    if name in FIXED_MEMBERS:
        return True
    parts = name.split("/")
    if len(name) > MAX_PATH or not is_printable(name) or any(part in {"", ".", ".."} for part in parts):
        return False
    match parts:
        case ["config", "active", file]:
            return file.endswith(".json")
        case ["database", instance, _file, *_rest]:
            return ID_PATTERN.fullmatch(instance) is not None
    return False


def is_printable(name: str) -> bool:
    """Return whether a name can be a member's, whatever the version of Unicode that this Python knows."""
    return not any(unicodedata.category(character) in UNPRINTABLE for character in name)


def describe(manifest: Manifest) -> Text:
    return Text(
        "fleet {fleet}, created {at}, {count} instances",
        fleet=manifest.fleet,
        at=manifest.made_at,
        count=len(manifest.instances),
    )
