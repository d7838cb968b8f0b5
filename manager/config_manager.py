"""The old system's Python API: `from manager.config_manager import ConfigManager`, and what that raises and returns."""

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
