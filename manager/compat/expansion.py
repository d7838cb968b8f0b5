"""Expand a config's `${…}` the way the old Python API does: some may stay unexpanded. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from manager.compat.config_errors import EnvironmentVariableError
from manager.config.variables import REFERENCE, UnsetVariable, expand

MUST_BE_SET = re.compile(r"API_KEY|SECRET_KEY|PRIVATE_KEY|PASSWORD|TOKEN", re.IGNORECASE)
"""Variables that the old system required; unset others were left as `${NAME}`."""


def expand_value(value: Any, variables: Mapping[str, str]) -> Any:
    """Return the value with all references in it replaced. Raises EnvironmentVariableError."""
    if isinstance(value, dict):
        return {key: expand_value(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [expand_value(item, variables) for item in value]
    return _expand_text(value, variables) if isinstance(value, str) else value


def _expand_text(text: str, variables: Mapping[str, str]) -> str:
    """Expand each reference separately, so that one without a value does not affect the others."""

    def value(match: re.Match[str]) -> str:
        try:
            return expand(match[0], variables)
        except UnsetVariable as unset:
            if MUST_BE_SET.search(unset.name):
                raise EnvironmentVariableError(
                    "{var_name} is not set; set it in .env or in the environment", var_name=unset.name
                ) from None
            return match[0]

    return REFERENCE.sub(value, text)
