"""Define the old Python API's errors about configs (manager.config_manager)."""

from __future__ import annotations

import os
from typing import Any

from manager.errors import BAD_CONFIG, ManagerError

StrPath = str | os.PathLike[str]


class ConfigError(ManagerError):
    """Serve as the base of the errors about a config file, which `config_path` names."""

    exit_code = BAD_CONFIG

    def __init__(self, message: str, /, config_path: StrPath | None = None, **params: object) -> None:
        super().__init__(message, file=config_path, **params)
        self.config_path = None if config_path is None else str(config_path)


class ConfigValidationError(ConfigError):
    """Signal a config that the fleet cannot use."""


class ConfigLoadError(ConfigError):
    """Signal a file that is missing, unreadable or not JSON."""


class ConfigSaveError(ConfigError):
    """Signal a file that cannot, or must not, be written."""


class ConfigBackupError(ConfigError):
    """Signal a copy that cannot be made."""


class ConfigRestoreError(ConfigError):
    """Signal a copy that is missing or damaged."""


class EnvironmentVariableError(ConfigError):
    """Signal a credential's variable that is not set; `var_name` names it."""

    def __init__(self, message: str, /, var_name: str = "", **params: Any) -> None:
        super().__init__(message, var_name=var_name, **params)
        self.var_name = var_name


def reason(error: Exception) -> str:
    """Return an error's cause in a few words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
