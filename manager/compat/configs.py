"""Implement the old system's `ConfigManager`, with the models and functions of the command line.

Configs are not validated differently here: the results are those of `manager config --check`.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
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
from manager.config import dotenv, dotted_keys, fleet_settings, loader
from manager.config.flat_format import convert_legacy, is_legacy
from manager.config.loaded import is_config
from manager.config.variables import merge_environment
from manager.errors import Problem
from manager.fleet import image_variables
from manager.fleet import project as projects
from manager.util import atomic_file, formatting, ownership, scratch, strict_json
from manager.util.real_path import real_path

logger = logging.getLogger(__name__)


@dataclass
class ConfigInfo:
    """Hold an entry in a list of configs; strings are empty where the file has no value."""

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
    """Hold all errors and warnings, each naming the path to its cause."""

    is_valid: bool
    errors: list[str]
    warnings: list[str]


class ConfigManager:
    """Manage the files of `templates/`, `active/` and `archived/` in a config folder.

    Raises subclasses of ConfigError.
    """

    def __init__(self, config_dir: StrPath = "config") -> None:
        i18n.use_environment()
        self.config_dir = Path(config_dir)
        self.templates_dir = self.config_dir / "templates"
        self.active_dir = self.config_dir / "active"
        self.archived_dir = self.config_dir / "archived"
        for folder in (self.templates_dir, self.active_dir, self.archived_dir):
            with contextlib.suppress(OSError):  # what is written there says why it cannot be
                ownership.make_folder(folder)

    @property
    def _project_dir(self) -> Path:
        return self.config_dir.absolute().parent

    def _variables(self) -> dict[str, str]:
        return merge_environment(dotenv.read(self._project_dir / ".env").variables, os.environ)

    # Files

    def load_config(self, config_path: StrPath, expand_vars: bool = True) -> dict[str, Any]:
        """Return the file's JSON object, with its `${…}` expanded where possible."""
        try:
            value = strict_json.read(Path(config_path))
        except strict_json.JsonFault as fault:
            raise ConfigLoadError("{problem}", config_path, problem=_problem(config_path, fault)) from fault
        if not isinstance(value, dict):
            raise ConfigLoadError("{file}: must be an object {{…}}", config_path)
        return self.expand_env_vars(value) if expand_vars else value

    def save_config(self, config_path: StrPath, config_data: Mapping[str, Any]) -> bool:
        """Write the file atomically and update `metadata.updated_at`. Refuses credentials in clear text."""
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
        """Remove the file. Returns False if it does not exist. Its container remains, as an orphan."""
        try:
            Path(config_path).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ConfigError("cannot remove {file}: {why}", config_path, why=reason(error)) from error
        return True

    def get_config_path(self, config_name: str, config_type: str = "active") -> Path:
        """Return the path of a config, which need not exist. `config_type`: template, active, archived."""
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
        """Return the configs that match all filters, sorted by name.

        `filters`: field of ConfigInfo → value, compared case-insensitively.
        """
        known = {field.name for field in fields(ConfigInfo)}
        if unknown := set(filters or {}) - known:
            raise ValueError(", ".join(sorted(unknown)))
        matching = [
            info
            for is_included, folder, kind in (
                (include_templates, self.templates_dir, "is_template"),
                (include_active, self.active_dir, "is_active"),
                (include_archived, self.archived_dir, "is_archived"),
            )
            if is_included
            for info in self._infos(folder, kind)
            if all(
                str(getattr(info, key)).lower() == str(value).lower()
                for key, value in (filters or {}).items()
            )
        ]
        return sorted(matching, key=lambda info: info.name.lower())

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
        """Return the sorted file names in `templates/`."""
        return [path.name for path in _json_files(self.templates_dir)]

    def list_active_configs(self) -> list[str]:
        """Return the sorted file names in `active/`."""
        return [path.name for path in _json_files(self.active_dir)]

    def list_archived_configs(self) -> list[str]:
        """Return the sorted file names in `archived/`."""
        return [path.name for path in _json_files(self.archived_dir)]

    # Meaning

    def expand_env_vars(self, text: Any) -> Any:
        """Expand `${NAME}` and `${NAME:-default}` in a string, or in all strings of a dict or list.

        The environment takes precedence over `.env`; empty counts as unset. Without a value and a default, a
        credential raises EnvironmentVariableError; other references stay as they are.
        """
        return expansion.expand_value(text, self._variables())

    def validate_config(self, config_data: Mapping[str, Any] | StrPath) -> ValidationResult:
        """Validate a config, or the file at a path, under this folder's fleet settings."""
        if isinstance(config_data, (str, os.PathLike)):
            return self.validate_config_file(config_data)
        with tempfile.TemporaryDirectory(dir=scratch.folder()) as folder:
            path = Path(folder) / "config.json"
            try:
                path.write_text(json.dumps(config_data), encoding="utf-8")
            except (TypeError, ValueError) as error:
                return ValidationResult(False, [reason(error)], [])
            return self._validate_file(path, "")

    def validate_config_file(self, config_path: StrPath) -> ValidationResult:
        """Validate a file; one in `active/` also for conflicts with the others."""
        path = Path(config_path).absolute()
        if not path.exists():
            raise ConfigLoadError("{file}: no such file", config_path)
        if path.parent == self.active_dir.absolute() and self.config_dir.name == "config":
            project = projects.read(self._project_dir)
            file = project.fleet.relative(real_path(path))
            return _result(
                [problem for problem in (*project.problems, *project.refusals) if problem.file == file],
                [warning for warning in project.warnings if warning.file == file],
            )
        return self._validate_file(path, str(config_path))

    def _validate_file(self, path: Path, file: str) -> ValidationResult:
        fleet, defaults = fleet_settings.load(self._project_dir)
        loaded = loader.load_file(path, image_variables.with_known(fleet), defaults, self._variables(), {})
        errors, warnings = (
            [problem._replace(file=file) for problem in problems]
            for problems in ((*loaded.problems, *loaded.refusals), loaded.warnings)
        )
        return _result(errors, warnings)

    # Templates

    def create_from_template(
        self, template_name: str, target_name: str, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return a template's config under another name, without writing it.

        `params`: dotted paths (`strategy_config.grid_num`), or keys without a section (`symbol`) that only
        one section has.
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
        """Write a template's config to `active/` and return its path. An existing file is backed up.

        Raises ConfigValidationError, and writes nothing, if the fleet cannot use the config.
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
        """Copy the file to `archived/` with a SHA-256. Returns the copy's path; None if there is no file."""
        source = Path(config_path)
        return str(config_copies.make_copy(source, self.archived_dir)) if source.exists() else None

    def restore_config(self, backup_path: StrPath, target_path: StrPath | None = None) -> bool:
        """Write a copy back: to `target_path`, or to the file in `active/` that it was made from."""
        copied = Path(backup_path)
        target = (
            self.active_dir / config_copies.original_name(copied)
            if target_path is None
            else Path(target_path)
        )
        config_copies.restore(copied, target)
        return True


def _info(path: Path, kind: str, metadata: dict[str, Any]) -> ConfigInfo:
    def text(key: str, default: str = "") -> str:
        return str(metadata.get(key) or default)

    info = ConfigInfo(
        name=text("name", path.stem),
        path=str(path),
        exchange=text("exchange"),
        symbol=text("symbol"),
        market_type=text("market_type"),
        strategy=text("strategy"),
        created_at=text("created_at"),
        updated_at=text("updated_at"),
        version=text("version", "1.0.0"),
    )
    setattr(info, kind, True)
    return info


def _result(errors: list[Problem], warnings: list[Problem]) -> ValidationResult:
    return ValidationResult(not errors, list(map(str, errors)), list(map(str, warnings)))


def _problem(path: StrPath, fault: strict_json.JsonFault) -> Problem:
    if not Path(path).exists():
        return Problem.at(str(path), "", "no such file")
    return Problem(str(path), fault.path, fault.text)


def _json_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if is_config(path.name))


def _file_name(name: str) -> str:
    return name if name.endswith(".json") else f"{name}.json"


def _now() -> str:
    return formatting.iso_precise(time.time())
