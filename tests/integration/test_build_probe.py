"""A bot of the user's own is tried in its new image before the fleet's image becomes another one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from manager.errors import BAD_CONFIG, FAILED
from tests.fleet import Project

pytestmark = pytest.mark.engine

STRICT = """
import argparse
parser = argparse.ArgumentParser()
for option in ("--exchange", "--symbol", "--strategy", "--market-type", "--grid-num", "--interval"):
    parser.add_argument(option)
{more}
args = parser.{parse}()
print("trading")
"""


def requiring(option: str) -> str:
    return STRICT.format(more=f"parser.add_argument('{option}', required=True)", parse="parse_args")


@pytest.fixture
def own(project: Project) -> Project:
    """A project whose fleet has a bot of its own, and one config."""
    (project.folder / "my-bot").mkdir()
    with (project.folder / "config" / "fleet.toml").open("a") as settings:
        settings.write('bot_dir = "my-bot"\nconfig_variables = ["BACKPACK_*"]\n')
    strategy = {"grid_upper_price": None, "grid_lower_price": None, "max_position": None, "quantity": None}
    project.add("theirs", 0, metadata={"strategy": "martingale"}, strategy_config=strategy)
    return project


def image_of(project: Project) -> str:
    return project.docker("image", "inspect", "-f", "{{.Id}}", f"{project.name}-bot:local").strip()


def run_py(project: Project, text: str) -> None:
    Path(project.folder, "my-bot", "run.py").write_text(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(
            "import no_such_package_here\n",
            "No module named 'no_such_package_here'. Add the package to",
            marks=pytest.mark.long_form,
        ),
        (
            STRICT.format(more="", parse="parse_args").replace("--symbol", "--market"),
            "unrecognized arguments",
        ),
        pytest.param(requiring("--leverage"), "required: --leverage", marks=pytest.mark.long_form),
    ],
    ids=["module", "unknown option", "required option"],
)
def test_a_bot_that_cannot_start_fails_the_build_and_the_fleet_keeps_its_image(
    own: Project, text: str, why: str
) -> None:
    before = image_of(own)
    run_py(own, text)
    done = own.manager("build", code=FAILED)
    assert why in done.err
    assert "the image is not used" in done.err
    assert image_of(own) == before
    assert own.docker("images", "--quiet", f"{own.name}-bot:trial") == ""
    assert own.docker("ps", "-aq", "--filter", f"name={own.name}-build-probe") == ""


def test_a_bot_that_takes_unknown_options_is_built_with_a_warning_and_what_it_requires_is_checked(
    own: Project,
) -> None:
    before = image_of(own)
    lenient = STRICT.format(more="", parse="parse_known_args").replace("--symbol", "--market")
    reads = "import os; os.getenv('THEIR_PHRASE')\n"
    run_py(own, reads + lenient.replace("parse_known_args()", "parse_known_args()[0]"))
    done = own.manager("build")
    assert "configs may reference what this bot reads: THEIR_PHRASE" in done.out
    own.add("theirs", 0, metadata={"strategy": "martingale"}, exchange_config={"phrase": "${THEIR_PHRASE}"})
    assert "does not allow" in own.manager("config", "--check", code=BAD_CONFIG).err
    own.manager("ps")  # looks at the image
    assert "1 config is valid" in own.manager("config", "--check").out
    assert (
        "does not name, or requires, --symbol, --quantity; the bot accepts its arguments all the same"
        in done.err
    )
    assert image_of(own) != before

    run_py(own, requiring("--strategy-file"))
    flat = ["--strategy", "x", "--strategy-file", "f.toml", "--exchange", "a", "--symbol", "b"]
    for config in (own.folder / "config" / "active").glob("*.json"):
        config.unlink()
    path = own.folder / "config" / "active" / "flat.json"
    path.write_text(json.dumps({"web_port": own.first_port, "bot_args": flat}))
    own.manager("build")
    assert "1 config is valid" in own.manager("config", "--check").out
    path.write_text(json.dumps({"web_port": own.first_port, "bot_args": [*flat[:2], *flat[4:]]}))
    checked = own.manager("config", "--check", code=BAD_CONFIG)
    assert "flat.json: bot_args: the bot requires --strategy-file" in checked.err


@pytest.mark.long_form
def test_a_bot_without_a_help_is_built_and_said_so(own: Project) -> None:
    run_py(own, "raise SystemExit(3)\n")
    assert "`run.py --help` in the new image ended with exit code 3" in own.manager("build").err
