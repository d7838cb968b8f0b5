"""Node's engine reads the schema as Python's does: the editors' own validators are written for it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from manager.config.json_schema import config_schema
from tests.fleet import ROOT
from tests.unit.config.test_json_schema import BAD, GOOD, LOADER_ONLY, REFUSED, SHIPPED

TOOLS = ROOT / ".venv" / "test-tools"
PACKAGES = TOOLS / "npm"
NODE = shutil.which("node") or shutil.which("node", path=TOOLS / "node" / "bin")
pytestmark = pytest.mark.skipif(
    not NODE or not (PACKAGES / "node_modules" / "ajv").is_dir(),
    reason="needs node and ajv: scripts/test-tools.sh gets them",
)


def test_node_says_of_every_config_what_python_says() -> None:
    values: dict[str, Any] = {path.name: json.loads(path.read_text()) for path in SHIPPED}
    values |= {**GOOD, **BAD, **LOADER_ONLY, **REFUSED}
    schemas = {name: config_schema(is_bundled_bot=name == "bundled") for name in ("bundled", "foreign")}
    answers = by_node(schemas, values)
    for name, schema in schemas.items():
        python = Draft202012Validator(schema)
        assert answers[name]["isSchema"]
        assert answers[name]["valid"] == {name: python.is_valid(value) for name, value in values.items()}
    assert answers["bundled"]["valid"]["no symbol"] is False
    assert all(answers["bundled"]["valid"][path.name] for path in SHIPPED)


def by_node(schemas: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    assert NODE
    done = subprocess.run(
        [NODE, Path(__file__).with_name("schema_by_node.mjs"), PACKAGES],
        input=json.dumps({"schemas": schemas, "values": values}),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers
