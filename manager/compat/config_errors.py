"""What the old Python API raises about configs (manager.config_manager)."""

from __future__ import annotations

import os
from typing import Any

from manager.errors import BAD_CONFIG, ManagerError

StrPath = str | os.PathLike[str]


class ConfigError(ManagerError):
    """Something is wrong with a config file; `config_path` says which."""

    exit_code = BAD_CONFIG

    def __init__(self, message: str, /, config_path: StrPath | None = None, **params: object) -> None:
        super().__init__(message, file=config_path, **params)
        self.config_path = None if config_path is None else str(config_path)


class ConfigValidationError(ConfigError):
    """A config that the fleet could not use."""


class ConfigLoadError(ConfigError):
    """A file that is missing, cannot be read or is not JSON."""


class ConfigSaveError(ConfigError):
    """A file that cannot, or must not, be written."""


class ConfigBackupError(ConfigError):
    """A copy that cannot be made."""


class ConfigRestoreError(ConfigError):
    """A copy that is missing or damaged."""


class EnvironmentVariableError(ConfigError):
    """A credential's variable that is not set; `var_name` says which."""

    def __init__(self, message: str, /, var_name: str = "", **params: Any) -> None:
        super().__init__(message, var_name=var_name, **params)
        self.var_name = var_name


def reason(error: Exception) -> str:
    """Why, in a few words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
