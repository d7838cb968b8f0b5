"""The old system's Python API: `ConfigManager`, over the models and functions that the command line uses.

There is no second validator here: what is said of a config is what `manager config --check` says of it.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from manager import i18n
from manager.compat import config_copies, expansion
from manager.compat.config_errors import (
    ConfigError,
    ConfigLoadError,
    ConfigSaveError,
    ConfigValidationError,
    StrPath,
    reason,
)
from manager.config import dotted_keys, fleet_settings, loader
from manager.config.flat_format import convert_legacy, is_legacy
from manager.config.variables import merge_environment, read_dotenv
from manager.errors import Problem
from manager.fleet import project as projects
from manager.util import atomic_file, strict_json

logger = logging.getLogger(__name__)


@dataclass
class ConfigInfo:
    """What a list of configs shows of one; texts are empty where the file says nothing."""

    name: str
    path: str
    exchange: str
    symbol: str
    market_type: str
    strategy: str
    created_at: str
    updated_at: str
    version: str
    is_template: bool = False
    is_active: bool = False
    is_archived: bool = False


@dataclass
class ValidationResult:
    """Every error and every warning, each naming the path to its cause."""

    is_valid: bool
    errors: list[str]
    warnings: list[str]


class ConfigManager:
    """The files of `templates/`, `active/` and `archived/` in one config folder. Raises kinds of ConfigError."""

    def __init__(self, config_dir: StrPath = "config") -> None:
        i18n.use_environment()
        self.config_dir = Path(config_dir)
        self.templates_dir = self.config_dir / "templates"
        self.active_dir = self.config_dir / "active"
        self.archived_dir = self.config_dir / "archived"

    @property
    def _project_dir(self) -> Path:
        return self.config_dir.absolute().parent

    def _variables(self) -> dict[str, str]:
        return merge_environment(read_dotenv(self._project_dir / ".env")[0], os.environ)

    # Files

    def load_config(self, config_path: StrPath, expand_vars: bool = True) -> dict[str, Any]:
        """The file's JSON object, with its `${…}` replaced where they can be."""
        try:
            value = strict_json.read(Path(config_path))
        except strict_json.JsonFault as fault:
            raise ConfigLoadError("{problem}", config_path, problem=_problem(config_path, fault)) from fault
        if not isinstance(value, dict):
            raise ConfigLoadError("{file}: must be an object {{…}}", config_path)
        return self.expand_env_vars(value) if expand_vars else value

    def save_config(self, config_path: StrPath, config_data: Mapping[str, Any]) -> bool:
        """Writes the file atomically, `metadata.updated_at` with it. Refuses a credential in clear text."""
        path, data = Path(config_path), copy.deepcopy(dict(config_data))
        for problem in loader.clear_text_secrets(str(path), data):
            raise ConfigSaveError("{problem}", path, problem=problem)
        if isinstance(data.get("metadata"), dict):
            data["metadata"]["updated_at"] = _now()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
            atomic_file.write_atomically(path, data, mode)
        except (OSError, TypeError, ValueError) as error:
            raise ConfigSaveError("cannot write {file}: {why}", path, why=reason(error)) from error
        return True

    def delete_config(self, config_path: StrPath) -> bool:
        """Removes the file; False when there is none. A container made from it stays, and is shown as an orphan."""
        try:
            Path(config_path).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ConfigError("cannot remove {file}: {why}", config_path, why=reason(error)) from error
        return True

    def get_config_path(self, config_name: str, config_type: str = "active") -> Path:
        """Where the config of this name is or would be. `config_type`: template, active, archived."""
        folders = {"template": self.templates_dir, "active": self.active_dir, "archived": self.archived_dir}
        if config_type not in folders:
            raise ValueError(config_type)
        return folders[config_type] / _file_name(config_name)

    # Lists

    def list_configs(
        self,
        filters: Mapping[str, str] | None = None,
        include_templates: bool = True,
        include_active: bool = True,
        include_archived: bool = True,
    ) -> list[ConfigInfo]:
        """The configs that fit all filters (field of ConfigInfo → value, case does not count), sorted by name."""
        known = {each.name for each in fields(ConfigInfo)}
        if unknown := set(filters or {}) - known:
            raise ValueError(", ".join(sorted(unknown)))
        found = [
            info
            for wanted, folder, kind in (
                (include_templates, self.templates_dir, "is_template"),
                (include_active, self.active_dir, "is_active"),
                (include_archived, self.archived_dir, "is_archived"),
            )
            if wanted
            for info in self._infos(folder, kind)
            if all(
                str(getattr(info, key)).lower() == str(value).lower()
                for key, value in (filters or {}).items()
            )
        ]
        return sorted(found, key=lambda each: each.name.lower())

    def _infos(self, folder: Path, kind: str) -> Iterator[ConfigInfo]:
        for path in _json_files(folder):
            try:
                data = self.load_config(path, expand_vars=False)
            except ConfigLoadError as error:
                logger.warning("%s", error)
                continue
            metadata = (convert_legacy(data) if is_legacy(data) else data).get("metadata")
            yield _info(path, kind, metadata if isinstance(metadata, dict) else {})

    def list_templates(self) -> list[str]:
        """The file names in `templates/`, sorted."""
        return [path.name for path in _json_files(self.templates_dir)]

    def list_active_configs(self) -> list[str]:
        """The file names in `active/`, sorted."""
        return [path.name for path in _json_files(self.active_dir)]

    def list_archived_configs(self) -> list[str]:
        """The file names in `archived/`, sorted."""
        return [path.name for path in _json_files(self.archived_dir)]

    # Meaning

    def expand_env_vars(self, text: Any) -> Any:
        """A text, or everything in a dict or list, with `${NAME}` and `${NAME:-default}` replaced.

        The environment beats `.env`; empty counts as unset. Unset without default, a credential raises
        EnvironmentVariableError and anything else stays as it stands.
        """
        return expansion.expanded(text, self._variables())

    def validate_config(self, config_data: Mapping[str, Any]) -> ValidationResult:
        """What loading this config would say, under this folder's fleet settings."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "config.json"
            try:
                path.write_text(json.dumps(config_data), encoding="utf-8")
            except (TypeError, ValueError) as error:
                return ValidationResult(False, [reason(error)], [])
            return self._loaded(path, "")

    def validate_config_file(self, config_path: StrPath) -> ValidationResult:
        """What loading this file would say; of a file in `active/` also what it must not share with the others."""
        path = Path(config_path).absolute()
        if not path.exists():
            raise ConfigLoadError("{file}: there is no such file", config_path)
        if path.parent == self.active_dir.absolute() and self.config_dir.name == "config":
            project = projects.read(self._project_dir)
            file = project.fleet.relative(path.resolve())
            return _result(
                [each for each in project.problems if each.file == file],
                [each for each in project.warnings if each.file == file],
            )
        return self._loaded(path, str(config_path))

    def _loaded(self, path: Path, file: str) -> ValidationResult:
        fleet, defaults = fleet_settings.load(self._project_dir)
        loaded = loader.load_file(path, fleet, defaults, self._variables(), {})
        return _result(*[
            [problem._replace(file=file) for problem in found]
            for found in (loaded.problems, loaded.warnings)
        ])  # fmt: skip

    # Templates

    def create_from_template(
        self, template_name: str, target_name: str, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """A template's config under another name; nothing is written.

        `params`: dotted paths (`strategy_config.grid_num`), or a key alone (`symbol`) where one section knows it.
        """
        data = self.load_config(self.templates_dir / _file_name(template_name), expand_vars=False)
        for key, value in (params or {}).items():
            dotted_keys.set_value(data, key, value)
        if isinstance(metadata := data.get("metadata"), dict):
            name = target_name.removesuffix(".json")
            metadata["name"] = name
            if "instance_id" in metadata and not {"instance_id", "metadata.instance_id"} & set(params or {}):
                metadata["instance_id"] = name
            metadata["created_at"] = metadata["updated_at"] = _now()
        return data

    def create_config_from_template(self, template_name: str, output_name: str, **params: Any) -> str:
        """The same as a file in `active/`, whose path is returned. A file that is overwritten is backed up before.

        Raises ConfigValidationError, and writes nothing, when the fleet could not use it.
        """
        data = self.create_from_template(template_name, output_name, params)
        path = self.active_dir / _file_name(output_name)
        result = self.validate_config(data)
        if not result.is_valid:
            raise ConfigValidationError("{file}: {faults}", path, faults="; ".join(result.errors))
        self.backup_config(path)
        self.save_config(path, data)
        return str(path)

    # Copies

    def backup_config(self, config_path: StrPath) -> str | None:
        """Copies the file into `archived/`, a SHA-256 beside it. Returns the copy's path; None when there is no file."""
        source = Path(config_path)
        return str(config_copies.make(source, self.archived_dir)) if source.exists() else None

    def restore_config(self, backup_path: StrPath, target_path: StrPath | None = None) -> bool:
        """Writes a copy back: to `target_path`, else to the file in `active/` that it was made from."""
        copied = Path(backup_path)
        target = self.active_dir / config_copies.name_of(copied) if target_path is None else Path(target_path)
        config_copies.restore(copied, target)
        return True


def _info(path: Path, kind: str, metadata: dict[str, Any]) -> ConfigInfo:
    def said(key: str, default: str = "") -> str:
        return str(metadata.get(key) or default)

    info = ConfigInfo(
        name=said("name", path.stem),
        path=str(path),
        exchange=said("exchange"),
        symbol=said("symbol"),
        market_type=said("market_type"),
        strategy=said("strategy"),
        created_at=said("created_at"),
        updated_at=said("updated_at"),
        version=said("version", "1.0.0"),
    )
    setattr(info, kind, True)
    return info


def _result(errors: list[Problem], warnings: list[Problem]) -> ValidationResult:
    return ValidationResult(not errors, list(map(str, errors)), list(map(str, warnings)))


def _problem(path: StrPath, fault: strict_json.JsonFault) -> Problem:
    if not Path(path).exists():
        return Problem.at(str(path), "", "there is no such file")
    return Problem(str(path), fault.path, fault.text)


def _json_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def _file_name(name: str) -> str:
    return name if name.endswith(".json") else f"{name}.json"


def _now() -> str:
    return datetime.now().isoformat()
