"""Export the old system's `core/exceptions.py`: the errors about configs."""

from manager.compat.config_errors import (
    ConfigBackupError,
    ConfigError,
    ConfigLoadError,
    ConfigRestoreError,
    ConfigSaveError,
    ConfigValidationError,
    EnvironmentVariableError,
)

__all__ = [
    "ConfigBackupError",
    "ConfigError",
    "ConfigLoadError",
    "ConfigRestoreError",
    "ConfigSaveError",
    "ConfigValidationError",
    "EnvironmentVariableError",
]
