"""Load config/fleet.toml as a `Fleet`.

Unknown keys are errors, because a misspelt setting would be lost silently.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from manager.config import validation_messages
from manager.config.fleet import MAX_SETTINGS_BYTES, Alerts, DiskRules, Fleet, HistoryRules, Limits, Sums
from manager.config.fleet_tables import REQUEST_KEYS, FleetFile
from manager.config.models import DaemonConfig
from manager.config.variables import references, select_variables
from manager.errors import ConfigError, Problem
from manager.util import strict_json
from manager.util.real_path import real_path

NOT_DEFAULTS = ("web_port", "log_dir", "db_path", "python_path", "script_path", "working_dir")
"""Keys of daemon_config that belong to one instance and cannot be a fleet-wide default."""


def load(project_dir: Path, path: Path | None = None) -> tuple[Fleet, dict[str, Any]]:
    """Return the fleet of a project folder and its defaults for daemon_config. Raises ConfigError.

    `path`: read this settings file instead of the project's own, to validate it before it is written there.
    """
    file = "config/fleet.toml"
    try:
        settings = FleetFile.model_validate(_read(path or project_dir / file, file))
    except ValidationError as error:
        raise ConfigError(validation_messages.problems(file, FleetFile, error)) from error
    faults = [
        *_unknown(file, settings),
        *_leaking(file, settings),
        *_limits_without_currency(file, settings),
        *_bad_defaults(file, settings.defaults),
    ]
    if faults:
        raise ConfigError(faults)
    return _fleet(project_dir, file, settings), settings.defaults


def _fleet(project_dir: Path, file: str, settings: FleetFile) -> Fleet:
    if not settings.data_dir or "\0" in settings.data_dir:
        raise ConfigError([Problem.at(file, "data_dir", "must be a folder")])
    return Fleet(
        name=settings.name or _name_of(project_dir, file),
        host=settings.host,
        project_dir=project_dir,
        data_dir=real_path(project_dir / settings.data_dir),
        mode=settings.mode,
        image=settings.image,
        bot_dir=settings.bot_dir,
        bind_address=settings.bind_address,
        variables=settings.variables,
        config_variables=settings.config_variables,
        secret_variables=settings.secret_variables,
        parallelism=settings.parallelism,
        allow_shared_credentials=settings.allow_shared_credentials,
        strict_configs=settings.strict_configs,
        accept_unverified=settings.accept_unverified,
        backup_keep=settings.backup.keep,
        backup_keep_days=settings.backup.keep_days,
        alerts=Alerts(**settings.alerts.model_dump(include=set(Alerts._fields))),
        sums=Sums(settings.sums.currency, tuple(sorted(settings.sums.rates.items()))),
        limits=_limits(settings),
        history=HistoryRules(**settings.history.model_dump(include=set(HistoryRules._fields))),
        disk=DiskRules(**settings.disk.model_dump(include=set(DiskRules._fields))),
        requests=tuple(
            (exchange.lower(), tuple(table.model_dump(exclude_none=True, include=REQUEST_KEYS).items()))
            for exchange, table in sorted(settings.requests.items())
        ),
        **settings.container.model_dump(),
    )


def _limits(settings: FleetFile) -> Limits:
    """Return the limits; one that is not set as the cache has it: Compose's hashes are known by its text."""
    limits = settings.limits
    return Limits(limits.fleet_daily_loss or 0, limits.account_daily_loss or 0, limits.on_loss)


def _read(path: Path, file: str) -> dict[str, Any]:
    try:
        raw = strict_json.read_bytes(path, MAX_SETTINGS_BYTES)
        if len(raw) > MAX_SETTINGS_BYTES:
            raise ConfigError(
                [Problem.at(file, "", "is larger than {limit} bytes", limit=MAX_SETTINGS_BYTES)]
            )
        return tomllib.loads(raw.decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError([Problem.at(file, "", "cannot be read: {why}", why=error.strerror)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            [Problem.at(file, "", "is not UTF-8 (byte {position})", position=error.start)]
        ) from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise ConfigError([Problem.at(file, "", "is not TOML: {why}", why=str(error)[:200])]) from error


def _unknown(file: str, settings: FleetFile) -> list[Problem]:
    faults = []
    tables: tuple[tuple[BaseModel, str], ...] = (
        (settings, ""),
        (settings.container, "container."),
        (settings.alerts, "alerts."),
        (settings.backup, "backup."),
        (settings.sums, "sums."),
        (settings.limits, "limits."),
        (settings.history, "history."),
        (settings.disk, "disk."),
        *((table, f"requests.{exchange}.") for exchange, table in settings.requests.items()),
    )
    for table, prefix in tables:
        for key in table.model_extra or {}:
            near = difflib.get_close_matches(key, type(table).model_fields, n=1)
            path, known = f"{prefix}{key}", ", ".join(type(table).model_fields)
            if prefix and key in FleetFile.model_fields:
                faults.append(
                    Problem.at(file, path, "is not a key of this table; write it above the first [table]")
                )
                continue
            faults.append(
                Problem.at(file, path, "is not a known key; did you mean {near}?", near=near[0])
                if near
                else Problem.at(file, path, "is not a known key; known keys: {known}", known=known)
            )
    return faults


def _leaking(file: str, settings: FleetFile) -> list[Problem]:
    """Reject alert addresses in variables that are passed to every bot."""
    return [
        Problem.at(
            file,
            f"alerts.urls[{index}]",
            "{name} is one of the variables that every bot receives; choose another name",
            name=name,
        )
        for index, url in enumerate(settings.alerts.urls)
        for name, _default in references(url)
        if select_variables(settings.variables, {name: "set"})
    ]


def _limits_without_currency(file: str, settings: FleetFile) -> list[Problem]:
    """Reject a limit without a currency."""
    limits = settings.limits
    if settings.sums.currency or not (limits.fleet_daily_loss or limits.account_daily_loss):
        return []
    return [
        Problem.at(
            file, "sums.currency", "is required for [limits]: it is the currency that losses are counted in"
        )
    ]


def _bad_defaults(file: str, defaults: dict[str, Any]) -> list[Problem]:
    """Check `[defaults]` by the rules of daemon_config."""
    faults = [
        Problem.at(file, f"defaults.{key}", "belongs in an instance config")
        for key in NOT_DEFAULTS
        if key in defaults
    ]
    try:
        checked = DaemonConfig.model_validate(defaults)
    except ValidationError as error:
        faults += validation_messages.problems(file, DaemonConfig, error, "defaults.")
    else:
        faults += validation_messages.unknown_keys(file, checked, "defaults.")
    return faults


def _name_of(project_dir: Path, file: str) -> str:
    """Return the folder's name, normalised the way Compose does."""
    name = re.sub(r"[^a-z0-9_-]", "", project_dir.name.lower()).lstrip("_-")
    if not name:
        raise ConfigError(
            [
                Problem.at(
                    file,
                    "name",
                    "is required: none can be derived from the folder name “{folder}”",
                    folder=project_dir.name,
                )
            ]
        )
    return name
