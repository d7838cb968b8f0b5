"""Export the old system's ConfigManager with its errors and results."""

from manager.compat.config_errors import (
    ConfigBackupError,
    ConfigError,
    ConfigLoadError,
    ConfigRestoreError,
    ConfigSaveError,
    ConfigValidationError,
    EnvironmentVariableError,
)
from manager.compat.configs import ConfigInfo, ConfigManager, ValidationResult

__all__ = [
    "ConfigBackupError",
    "ConfigError",
    "ConfigInfo",
    "ConfigLoadError",
    "ConfigManager",
    "ConfigRestoreError",
    "ConfigSaveError",
    "ConfigValidationError",
    "EnvironmentVariableError",
    "ValidationResult",
]
