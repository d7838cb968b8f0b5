"""Build the JSON Schema (2020-12) of an instance config for editors, from the models. Pure.

docs/operating.md lists what the schema cannot express; `manager config --check` is authoritative.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from manager.config.bot_argv import GRIDS
from manager.config.dotenv import NAME
from manager.config.exchanges import EXCHANGES
from manager.config.flat_format import LEGACY_KEYS
from manager.config.fleet import HOST_PATTERN
from manager.config.loader import OWN_FILES
from manager.config.models import (
    BUNDLED_STRATEGIES,
    HEALTH_PATH_PATTERN,
    ID_PATTERN,
    WORD_PATTERN,
    DaemonConfig,
    InstanceConfig,
)
from manager.config.variables import NOT_CREDENTIALS, SECRET_WORDS
from manager.i18n import _, mark

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = mark("a botfleet instance")
WHERE = mark("where editors find the schema of this file")

NULL: Schema = {"type": "null"}
TEXT: Schema = {"$ref": "#/$defs/text"}
REFERENCE: Schema = {"$ref": "#/$defs/reference"}
PLAIN: Schema = {"$ref": "#/$defs/plain"}

_ANY_CASE = re.sub("[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", SECRET_WORDS.pattern)
_EXEMPT = "|".join(sorted(NOT_CREDENTIALS))
SECRET_KEY = f"^(?!({_EXEMPT})$).*({_ANY_CASE})"
_SECRET_NAME = rf"\$\{{(?!({_EXEMPT})[:}}])[A-Za-z0-9_]*({_ANY_CASE})[A-Za-z0-9_]*"
NAMES_A_SECRET = rf"{_SECRET_NAME}(:-[^}}]*)?\}}"
HAS_A_SECRET_DEFAULT = rf"{_SECRET_NAME}:-[^}}]+\}}"
ONLY_A_NAME = r"^\s*\$\{[A-Za-z_][A-Za-z0-9_]*(:-)?\}\s*$"
SECRET_OPTION = rf"^-[^=]*({_ANY_CASE})"

_PART = r"/(?!\.{1,2}(/|$))[^/\x00-\x1f\x7f]+"
_OWN = "|".join(name.replace(".", r"\.") for name in sorted(OWN_FILES))
"""Not by `re.escape`: editors use ECMA regular expressions, in which `\\-` is an error."""
PATTERNS = {
    "instance_id": f"^{ID_PATTERN.pattern}$",
    **dict.fromkeys(("exchange", "symbol", "strategy"), f"^(?!-){WORD_PATTERN.pattern}$"),
    "host": f"^{HOST_PATTERN.pattern}$",
    "health_path": f"^{HEALTH_PATH_PATTERN.pattern}$",
    "log_dir": rf"^(\./)?logs((?!/({_OWN})(/|$))({_PART})+)?/*$",
    "db_path": rf"^(\./)?database({_PART}){{1,2}}/*$",
}
"""The rules that the models and the loader check in code, for keys that exist in one section only."""


def config_schema(*, is_bundled_bot: bool) -> Schema:
    """Return the schema of one file of config/active, sectioned or flat.

    Descriptions are in the current language.

    `is_bundled_bot`: whether exchange and strategy must be known to the bot that ships with the project.
    """
    generated = InstanceConfig.model_json_schema()
    sections = {name: _section(section) for name, section in generated["$defs"].items()}
    top = _properties(generated)
    for name in ("metadata", "daemon_config", "strategy_config"):
        top[name] = _described(top[name], _ref_of(name), is_optional=name != "metadata")
    top["exchange_config"] = _described(top["exchange_config"], {"$ref": "#/$defs/settings"})
    top["environment"] = _described(top["environment"], {"$ref": "#/$defs/environment"})
    top["bot_args"] = _described(top["bot_args"], {"$ref": "#/$defs/arguments"})
    top = {"$schema": {"description": _(WHERE), "type": "string"}, **top}
    return {
        "$schema": DIALECT,
        "title": _(TITLE),
        "if": {"required": ["metadata"]},
        "then": {"$ref": "#/$defs/sectioned"},
        "else": {"$ref": "#/$defs/flat"},
        "$defs": {
            "sectioned": {
                "type": "object",
                "properties": top,
                "required": ["metadata"],
                "additionalProperties": PLAIN,
                **(_bundled_bot_rules() if is_bundled_bot else {}),
            },
            "flat": _flat(top, sections),
            **sections,
            **_values(),
        },
    }


def _flat(top: Schema, sections: Schema) -> Schema:
    """Return the schema of the old flat file, with daemon keys at the top level."""
    carried = ("$schema", "mode", "exchange_config", *LEGACY_KEYS)
    return {
        "type": "object",
        "properties": {
            "instance_id": sections["Metadata"]["properties"]["instance_id"],
            **{key: top[key] for key in carried},
            **sections["DaemonConfig"]["properties"],
        },
        "additionalProperties": PLAIN,
        "anyOf": [{"required": [key]} for key in (*LEGACY_KEYS, *DaemonConfig.model_fields)],
    }


def _values() -> Schema:
    """Return the schemas of strings and of values below unknown keys.

    Neither may contain a clear-text credential.
    """
    text = {"type": "string", "not": {"pattern": NAMES_A_SECRET}}
    setting = {"type": "string", "not": {"pattern": HAS_A_SECRET_DEFAULT}}
    secret = {"type": "string", "pattern": rf"^$|{ONLY_A_NAME}", "not": {"pattern": HAS_A_SECRET_DEFAULT}}
    options = {**text, "not": {"anyOf": [text["not"], {"pattern": SECRET_OPTION}]}}
    return {
        "text": text,
        "reference": {**text, "pattern": r"\$\{"},
        "plain": _tree("plain", text, {"$ref": "#/$defs/empty"}),
        "empty": _tree("empty", {"const": ""}, {"$ref": "#/$defs/empty"}),
        "setting": _tree("setting", setting, {"$ref": "#/$defs/secret"}),
        "secret": _tree("secret", secret, {"$ref": "#/$defs/secret"}, others=("boolean", "null")),
        "settings": {"type": "object", "$ref": "#/$defs/setting"},
        "environment": {
            "type": "object",
            "propertyNames": {"pattern": f"^{NAME.pattern}$"},
            "patternProperties": {SECRET_KEY: secret},
            "additionalProperties": setting,
        },
        "arguments": {"type": "array", "items": options},
    }


def _tree(
    name: str, text: Schema, below_secret: Schema, others: Sequence[str] = ("number", "boolean", "null")
) -> Schema:
    """Return the schema of a JSON value with one rule for its strings and another below keys of credentials.

    `others`: the types allowed besides strings, lists and objects.
    """
    own = {"$ref": f"#/$defs/{name}"}
    return {
        "anyOf": [
            text,
            {"type": list(others)},
            {"type": "array", "items": own},
            {"type": "object", "patternProperties": {SECRET_KEY: below_secret}, "additionalProperties": own},
        ]
    }


def _bundled_bot_rules() -> Schema:
    """Require the bot's exchanges and strategies, and both bounds of a grid, unless `bot_args` is set."""
    bounds = [
        {"anyOf": [{"required": [name], "properties": {name: {"type": "number"}}} for name in names]}
        for names in (("grid_upper_price", "grid_upper"), ("grid_lower_price", "grid_lower"))
    ]
    allowed = {"exchange": list(EXCHANGES), "strategy": list(BUNDLED_STRATEGIES)}
    is_grid = {
        "required": ["strategy_config"],
        "properties": {
            "metadata": {"properties": {"strategy": {"enum": sorted(GRIDS)}}},
            "strategy_config": {"type": "object", "not": {"additionalProperties": NULL}},
        },
    }
    return {
        "if": {"required": ["bot_args"], "properties": {"bot_args": {"type": "array"}}},
        "else": {
            "properties": {
                "metadata": {
                    "properties": {
                        key: {"anyOf": [{"enum": names}, REFERENCE]} for key, names in allowed.items()
                    }
                }
            },
            "if": is_grid,
            "then": {"properties": {"strategy_config": {"allOf": bounds}}},
        },
    }


def _section(generated: Schema) -> Schema:
    return {
        "type": "object",
        "properties": _properties(generated),
        **({"required": generated["required"]} if "required" in generated else {}),
        "additionalProperties": PLAIN,
    }


def _properties(generated: Schema) -> Schema:
    required = generated.get("required", ())
    return {
        name: _described(definition, _rule(name, definition), is_optional=name not in required)
        for name, definition in generated["properties"].items()
    }


def _rule(name: str, generated: Schema) -> Schema:
    """Return the schema of this key's value. A string may be composed of variables: `${NAME}`."""
    rule = next((option for option in generated.get("anyOf", ()) if option != NULL), generated)
    rule = {key: value for key, value in rule.items() if key not in {"title", "default", "description"}}
    if rule.get("type") != "string":
        return {**rule, "items": TEXT} if rule.get("items") == {"type": "string"} else rule
    if name in PATTERNS:
        rule["pattern"] = PATTERNS[name]
    return TEXT if rule == {"type": "string"} else {"anyOf": [rule, REFERENCE]}


def _described(generated: Schema, rule: Schema, *, is_optional: bool = True) -> Schema:
    """Return the rule with the model's description and default; a null means the same as no key."""
    annotations: Schema = {"description": _(generated["description"])}
    default = generated.get("default")
    if isinstance(default, str | int | float):
        annotations["default"] = default
    if not is_optional:
        return {**annotations, **rule}
    if isinstance(rule.get("type"), str):
        return {**annotations, **rule, "type": [rule["type"], "null"]}
    return {**annotations, "anyOf": [*(rule.get("anyOf") or [rule]), NULL]}


def _ref_of(section: str) -> Schema:
    model = InstanceConfig.model_fields[section].annotation
    assert isinstance(model, type)
    return {"$ref": f"#/$defs/{model.__name__}"}
