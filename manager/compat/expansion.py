"""A config's `${…}` as the old Python API treats them: some may stay as they are. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from manager.compat.config_errors import EnvironmentVariableError
from manager.config.variables import REFERENCE, UnsetVariable, expand

MUST_BE_SET = re.compile(r"API_KEY|SECRET_KEY|PRIVATE_KEY|PASSWORD|TOKEN", re.IGNORECASE)
"""Variables whose absence the old system refused; others it left standing as `${NAME}`."""


def expanded(value: Any, variables: Mapping[str, str]) -> Any:
    """The value with all references in it replaced. Raises EnvironmentVariableError."""
    if isinstance(value, dict):
        return {key: expanded(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [expanded(item, variables) for item in value]
    return _text(value, variables) if isinstance(value, str) else value


def _text(text: str, variables: Mapping[str, str]) -> str:
    """Every reference by itself, so that one without a value keeps no other from getting its own."""

    def value(match: re.Match[str]) -> str:
        try:
            return expand(match[0], variables)
        except UnsetVariable as unset:
            if MUST_BE_SET.search(unset.name):
                raise EnvironmentVariableError(
                    "{var_name} is not set; set it in .env or the environment", var_name=unset.name
                ) from None
            return match[0]

    return REFERENCE.sub(value, text)
