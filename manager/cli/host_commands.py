"""Declare the commands about other machines."""

from __future__ import annotations

from collections.abc import Mapping

from manager.cli import argument_types
from manager.cli.command_options import DRY_RUN, FORMAT, HIDDEN, JSON, Command, flag, option
from manager.i18n import mark

LONGEST_ANSWER_S = 600
"""As manager/ops/hosts/registry.py has it, which is not loaded for every command."""

HOST_GROUPS: Mapping[str, Mapping[str, Command]] = {
    mark("other machines"): {
        "host add": Command(
            "host.add",
            mark("check another machine and add it to config/hosts.toml"),
            (
                option("name", text=mark("its name here"), metavar="NAME"),
                option(
                    "url",
                    text=mark("where its project folder is: ssh://USER@HOST:PORT/FOLDER"),
                    metavar="URL",
                ),
                option(
                    "--answer-within",
                    text=mark("wait so many seconds for each answer of a slow machine or link (default: 20)"),
                    type=argument_types.integer(1, LONGEST_ANSWER_S),
                    metavar="SECONDS",
                ),
            ),
            ("host add tokyo ssh://trader@tokyo.example/srv/desk", "--host tokyo ps", "ps --hosts"),
        ),
        "host list": Command(
            "host.list_", mark("show the machines of config/hosts.toml"), (JSON, FORMAT), ("host list",)
        ),
        "host check": Command(
            "host.check",
            mark("check login, clock, manager, folder and engine of other machines"),
            (option("names", text=mark("hosts (default: all)"), nargs="*", metavar="HOST"), JSON),
            ("host check", "host check tokyo"),
        ),
        "host deploy": Command(
            "host.deploy",
            mark(
                "install this manager and the fleet's image on other machines; running instances are "
                "not affected"
            ),
            (
                option("names", text=mark("hosts"), nargs="+", metavar="HOST"),
                option(
                    "--url",
                    text=mark("of a machine that is not added yet: ssh://USER@HOST:PORT/FOLDER; then add it"),
                    metavar="URL",
                ),
            ),
            ("host deploy tokyo", "host deploy tokyo --url ssh://trader@tokyo.example/srv/desk"),
        ),
        "host live": Command(
            "host.live",
            mark("tell another machine's manager, by fingerprints, which accounts are traded on here"),
            (),
            ("host live",),
        ),
        "host remove": Command(
            "host.remove",
            mark("remove a machine from config/hosts.toml; its instances keep running"),
            (
                option("name", text=mark("its name here"), metavar="HOST"),
                flag("--force", text=mark("also while a move from or to it is not finished")),
            ),
            ("host remove tokyo",),
        ),
        "move": Command(
            "move.move",
            mark("move an instance with its data to another machine; it never runs on both"),
            (
                option("id", text=mark("the instance"), nargs="?", metavar="ID"),
                option("to", text=mark("the machine that it is moved to"), nargs="?", metavar="HOST"),
                option(
                    "--from",
                    text=mark("bring it from this machine to here"),
                    dest="from_",
                    metavar="HOST",
                ),
                flag("--back", text=mark("call off a move that was not finished")),
                DRY_RUN,
                option("--side", text=HIDDEN),
            ),
            ("move bp_sol_01 tokyo", "move bp_sol_01 --from tokyo", "move bp_sol_01 --back"),
        ),
    },
}
