"""What changes something: a real command of the manager's, confirmed, refused to others, and noted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from manager.errors import NO_ENGINE, EngineUnreachable
from manager.monitor.history import spool_reader
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.watch import snoozing
from manager.web import access
from manager.web.engine_side import actions
from manager.web.engine_side.actions import MOST_AT_ONCE, Actions
from tests.web.served import Client, Served, a_bot, serving, signed_in

LIVE: dict[str, Any] = {"pnl": "10.5", "quote": "USDC", "position": "0.2", "base": "SOL"}


def two_bots() -> list[InstanceStats]:
    return [a_bot("bp_sol_01", **LIVE), a_bot("bp_btc_01", mode="paper", pnl="1", quote="USDC")]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, two_bots()) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Client:
    return signed_in(served)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that start nothing."""
    with serving(tmp_path_factory.mktemp("untouched"), two_bots()) as running:
        yield running


@pytest.fixture
def asker(untouched: Served) -> Iterator[Client]:
    """Whoever asks for what is not done. Nothing of it is there for the next one."""
    before = list(untouched.rows)
    yield signed_in(untouched)
    assert untouched.backend.actions.all() == []
    assert untouched.rows == before


def ended(client: Client, number: int) -> dict[str, Any]:
    """The action, once its command has ended."""
    deadline = time.monotonic() + 30
    while True:
        status, _headers, action = client.get(f"/api/v1/actions/{number}")
        assert status == 200
        if action["exit_code"] is not None:
            return dict(action)
        assert time.monotonic() < deadline, action
        time.sleep(0.1)


def noted(served: Served) -> list[tuple[str, str, str]]:
    events = spool_reader.everything(served.fleet.event_spool_file)
    return [(event.instance, event.what, event.text) for event in events if event.text.startswith("page: ")]


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "upgrade", "close"])
def test_a_button_is_the_command_that_a_person_would_type(served: Served, client: Client, verb: str) -> None:
    served.fleet.state_dir.mkdir(parents=True)
    status, _headers, begun = client.call("POST", "/api/v1/instances/bp_btc_01/actions", {"verb": verb})
    assert status == 202
    assert begun["command"] == f"manager {verb} bp_btc_01"
    done = ended(client, begun["number"])
    assert done["exit_code"] == NO_ENGINE
    assert any(line.startswith("error: ") for line in done["lines"])
    (first, asked, who), (second, failed, outcome) = noted(served)
    assert (first, asked) == ("bp_btc_01", "command")
    assert who.startswith(f"page: {verb} (asked on the page, by session 1 of ")
    assert (second, failed) == ("bp_btc_01", "command failed")
    assert outcome.endswith(f"; exit code {NO_ENGINE})")


@pytest.mark.parametrize(
    ("body", "command", "noted_as"),
    [
        ({"verb": "snooze"}, "manager alert snooze bp_sol_01", "alert snooze"),
        ({"verb": "snooze", "until": "8h"}, "manager alert snooze bp_sol_01 --until 8h", None),
        ({"verb": "unsnooze"}, "manager alert snooze bp_sol_01 --end", "alert snooze --end"),
        ({"verb": "orders"}, "manager orders bp_sol_01", "orders"),
    ],
)
def test_what_changes_no_bot_is_a_command_too_and_needs_no_id(
    served: Served, client: Client, body: dict[str, str], command: str, noted_as: str | None
) -> None:
    served.fleet.state_dir.mkdir(parents=True)
    path = "/api/v1/instances/bp_sol_01/actions"
    status, _headers, begun = client.call("POST", path, body)
    assert (status, begun["command"]) == (202, command)
    done = ended(client, begun["number"])
    assert done["exit_code"] == NO_ENGINE  # none of the three is a usage error
    assert [instance for instance, _what, _text in noted(served)] == ["bp_sol_01"] * 2
    assert noted(served)[0][2].startswith(f"page: {noted_as or 'alert snooze --until 8h'} (asked on the page")


@pytest.mark.parametrize(
    "until", ["yesterday", "-1h", "2020-01-01", "8h --end", "8" * 40, "31d", "9" * 39 + "d"]
)
def test_a_time_that_is_none_leaves_nothing(asker: Client, until: str) -> None:
    path, body = "/api/v1/instances/bp_sol_01/actions", {"verb": "snooze", "until": until}
    status, _headers, problem = asker.call("POST", path, body)
    assert status == 422
    assert "must be a duration" in problem["detail"] or "within the next 30 days" in problem["detail"]
    assert asker.get("/api/v1/actions")[2] == []


def test_the_question_before_alerts_are_left_says_until_when(asker: Client) -> None:
    _status, _headers, asked = asker.get("/api/v1/instances/bp_sol_01/actions/snooze")
    assert asked["sentences"][0] == "Snooze the alerts of bp_sol_01?"
    assert asked["needs_id"] is False
    assert datetime.fromtimestamp(asked["until"]).hour == snoozing.MORNING
    assert asker.get("/api/v1/instances/bp_sol_01/actions/orders")[2]["until"] is None


def test_what_was_refused_is_noted_once_with_who_and_why(tmp_path: Path) -> None:
    known, token = access.with_token(access.Access(), "looker", "read")
    with serving(tmp_path, two_bots(), known) as served:
        served.fleet.state_dir.mkdir(parents=True)
        person, looker = signed_in(served), {"Authorization": f"Bearer {token}"}
        path = "/api/v1/instances/bp_sol_01/actions"
        for _again in range(3):
            assert person.call("POST", path, {"verb": "stop", "confirm": "bp_sol"})[0] == 409
            assert Client(served).call("POST", path, {"verb": "stop"}, looker)[0] == 403
        assert Client(served).call("POST", "/api/v1/halt", {"confirm": "halt"}, looker)[0] == 403
        assert Client(served).call("POST", "/api/v1/instances/none/actions", {}, looker)[0] == 403
        role = "refused: this sign-in may not do that: the role {} is required)"
        typed, *by_role = noted(served)
        assert typed[:2] == ("bp_sol_01", "command failed")
        assert typed[2].startswith("page: stop (asked on the page, by session 1 of ")
        assert typed[2].endswith("; refused: bp_sol_01 trades real money: type its id to confirm)")
        by = "asked by the program looker, by its token; "
        assert by_role == [
            ("bp_sol_01", "command failed", f"page: command ({by}{role.format('operate')}"),
            ("bp_sol_01", "command failed", f"page: halt ({by}{role.format('halt')}"),
            ("bp_btc_01", "command failed", f"page: halt ({by}{role.format('halt')}"),
        ]
        assert served.backend.actions.all() == []


@pytest.mark.parametrize("confirm", [None, "", "bp_sol_0", "BP_SOL_01", " bp_sol_01", "bp_btc_01"])
def test_real_money_needs_the_id_typed(asker: Client, confirm: str | None) -> None:
    body = {"verb": "stop"} if confirm is None else {"verb": "stop", "confirm": confirm}
    status, _headers, problem = asker.call("POST", "/api/v1/instances/bp_sol_01/actions", body)
    assert status == 409
    assert problem["detail"] == "bp_sol_01 trades real money: type its id to confirm"
    assert asker.get("/api/v1/actions")[2] == []


def test_with_the_id_typed_it_is_done(client: Client) -> None:
    body = {"verb": "stop", "confirm": "bp_sol_01"}
    assert client.call("POST", "/api/v1/instances/bp_sol_01/actions", body)[0] == 202


def test_what_nobody_can_see_counts_as_real_money(served: Served, client: Client) -> None:
    served.look()
    served.error = EngineUnreachable("the Docker Engine does not answer")
    served.look()
    body = {"verb": "start"}
    assert client.call("POST", "/api/v1/instances/bp_btc_01/actions", body)[0] == 409
    assert client.get("/api/v1/instances/bp_btc_01/actions/start")[2]["needs_id"] is True


def test_a_config_that_has_turned_live_counts_although_the_container_trades_on_paper(
    served: Served, client: Client
) -> None:
    row = served.rows[1]
    served.rows[1] = row._replace(report=row.report._replace(mode="live"))
    served.look()
    assert client.call("POST", "/api/v1/instances/bp_btc_01/actions", {"verb": "stop"})[0] == 409


def test_the_question_is_that_of_top(asker: Client) -> None:
    _status, _headers, live = asker.get("/api/v1/instances/bp_sol_01/actions/stop")
    assert live["needs_id"] is True
    assert live["sentences"][:2] == ["Stop bp_sol_01?", "It trades real money: SOL_USDC_PERP."]
    assert "position: 0.2 SOL" in " ".join(live["sentences"])
    _status, _headers, paper = asker.get("/api/v1/instances/bp_btc_01/actions/stop")
    assert paper["needs_id"] is False
    assert paper["sentences"][1] == "It trades on paper: SOL_USDC_PERP."


def test_halt_is_the_command_for_everything_and_noted_with_every_bot(served: Served, client: Client) -> None:
    served.fleet.state_dir.mkdir(parents=True)
    client.get("/api/v1/fleet")
    status, _headers, begun = client.call("POST", "/api/v1/halt", {"confirm": "halt"})
    assert status == 202
    assert begun["command"] == "manager halt"
    done = ended(client, begun["number"])
    assert done["exit_code"] == NO_ENGINE
    assert sorted({instance for instance, _what, _text in noted(served)}) == ["bp_btc_01", "bp_sol_01"]


def test_halt_goes_while_nothing_can_be_seen(served: Served, client: Client) -> None:
    served.error = EngineUnreachable("the Docker Engine does not answer")
    served.look()
    assert client.call("POST", "/api/v1/halt", {"confirm": "halt"})[0] == 202


@pytest.mark.parametrize("body", [{}, {"confirm": ""}, {"confirm": "yes"}, None])
def test_halt_needs_its_word(asker: Client, body: Any) -> None:
    assert asker.call("POST", "/api/v1/halt", body)[0] in {413, 422}
    assert asker.get("/api/v1/actions")[2] == []


def test_a_second_press_is_the_same_command(client: Client) -> None:
    first = client.call("POST", "/api/v1/halt", {"confirm": "halt"})[2]
    second = client.call("POST", "/api/v1/halt", {"confirm": "halt"})[2]
    assert first["number"] == second["number"]
    ended(client, first["number"])
    assert client.call("POST", "/api/v1/halt", {"confirm": "halt"})[2]["number"] != first["number"]


@pytest.mark.parametrize(
    "body",
    [{"verb": "down"}, {"verb": "stop; rm"}, {"verb": ["stop"]}, {}, {"verb": "stop", "confirm": "x" * 999}],
)
def test_only_three_verbs_exist(asker: Client, body: Any) -> None:
    assert asker.call("POST", "/api/v1/instances/bp_btc_01/actions", body)[0] == 422


@pytest.mark.parametrize("instance", ["nobody", "--force", "-y", "bp_btc_01%20--force", "a;b"])
def test_an_id_that_is_none_starts_nothing(asker: Client, instance: str) -> None:
    status, _headers, _problem = asker.call("POST", f"/api/v1/instances/{instance}/actions", {"verb": "stop"})
    assert status == 404
    assert asker.get("/api/v1/actions")[2] == []


def test_an_id_that_looks_like_an_option_is_no_option(served: Served, client: Client) -> None:
    served.rows.append(a_bot("--force", mode="paper", pnl="1", quote="USDC"))
    served.look()
    assert client.call("POST", "/api/v1/instances/--force/actions", {"verb": "stop"})[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Botfleet-Token": "x"},
        {"Cookie": "x=y"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:5001"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/halt", "/api/v1/instances/bp_btc_01/actions"])
def test_nobody_else_starts_anything(asker: Client, path: str, headers: dict[str, str]) -> None:
    body = {"confirm": "halt", "verb": "stop"}
    assert asker.call("POST", path, body, headers)[0] in {401, 403, 421}
    assert asker.get("/api/v1/actions")[2] == []


def test_a_form_of_another_site_cannot_ask(asker: Client) -> None:
    """A form can send neither our header nor JSON; a browser would add the cookie to it."""
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        sent = {"Content-Type": kind, "X-Botfleet-Token": ""}
        assert asker.call("POST", "/api/v1/halt", {"confirm": "halt"}, sent)[0] == 401


@pytest.mark.parametrize("number", ["0", "999", "-1", "x", "99999999999999999999"])
def test_an_action_that_is_none_is_a_problem(asker: Client, number: str) -> None:
    assert asker.get(f"/api/v1/actions/{number}")[0] in {404, 422}


def test_what_is_asked_for_again_is_carried_out_once(served: Served, client: Client) -> None:
    """Also when the first one has ended: a second restart would take the bot's orders away again."""
    path, body = "/api/v1/instances/bp_btc_01/actions", {"verb": "restart", "key": "k1"}
    first = ended(client, client.call("POST", path, body)[2]["number"])
    again = client.call("POST", path, {**body, "asked_at": first["at"] + 100})[2]
    assert again["number"] == first["number"]
    assert client.call("POST", path, {**body, "key": "k2"})[2]["number"] != first["number"]


@pytest.mark.parametrize(
    ("by", "instance", "verb"),
    [
        ("operator", "bp_btc_01", "stop"),
        ("operator", "bp_sol_01", "orders"),
        ("other", "bp_btc_01", "restart"),
    ],
)
def test_a_key_answers_for_one_command_of_one_person(
    served: Served, client: Client, by: str, instance: str, verb: str
) -> None:
    """Who asked for a stop was told that it had been done, when it was a restart."""
    body = {"verb": "restart", "key": "k1"}
    ended(client, client.call("POST", "/api/v1/instances/bp_btc_01/actions", body)[2]["number"])
    asking = client if by == "operator" else signed_in(served)
    path = f"/api/v1/instances/{instance}/actions"
    status, _headers, problem = asking.call("POST", path, {"verb": verb, "key": "k1"})
    assert (status, len(served.backend.actions.all())) == (422, 1)
    assert "nothing was done: this key was used" in problem["detail"]


def test_a_key_answered_by_a_command_that_ran_already_is_kept_too(served: Served, client: Client) -> None:
    """Its answer got lost, and asked for again it was a second restart."""
    path, body = "/api/v1/instances/bp_btc_01/actions", {"verb": "restart", "key": "k1"}
    first = client.call("POST", path, body)[2]["number"]
    assert client.call("POST", path, {**body, "key": "k2"})[2]["number"] == first
    at = ended(client, first)["at"]
    assert client.call("POST", path, {**body, "key": "k2", "asked_at": at + 100})[2]["number"] == first


def test_what_an_earlier_process_may_have_begun_is_not_begun_again(served: Served, client: Client) -> None:
    path, begun_at = "/api/v1/instances/bp_btc_01/actions", served.backend.actions.begun_at
    lost = {"verb": "restart", "key": "k1", "asked_at": begun_at - 1}
    status, _headers, problem = client.call("POST", path, lost)
    assert (status, served.backend.actions.all()) == (409, [])
    assert "was started again meanwhile" in problem["detail"]
    assert client.call("POST", path, {**lost, "asked_at": begun_at + 60})[0] == 202


def test_no_number_is_given_again_by_a_later_process(served: Served, client: Client) -> None:
    """Who waits for a halt would be told how somebody's restart went."""
    first = client.call("POST", "/api/v1/halt", {"confirm": "halt"})[2]["number"]
    assert next(Actions(None, lambda: None)._numbers) >= int(served.backend.actions.begun_at)
    assert first >= int(served.backend.actions.begun_at)


def test_one_asker_begins_only_so_many_commands_at_once(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program with a token of `operate` could fill the machine with them. A halt is never refused."""
    served.rows = [a_bot(f"bp_{number}", mode="paper") for number in range(MOST_AT_ONCE + 1)]
    served.look()
    hanging: list[Hanging] = []

    def begun(_folder: object, *words: str, **_options: object) -> Hanging:
        hanging.append(Hanging(words))
        return hanging[-1]

    monkeypatch.setattr(actions, "Running", begun)
    ids = [row.id for row in served.rows]
    asked = [
        client.call("POST", f"/api/v1/instances/{instance}/actions", {"verb": "start"}) for instance in ids
    ]
    assert [status for status, _headers, _body in asked] == [202] * MOST_AT_ONCE + [429]
    _status, headers, problem = asked[-1]
    assert int(headers["retry-after"]) > 0
    assert headers["content-type"] == "application/problem+json"
    assert problem["detail"].startswith(f"nothing was done: {MOST_AT_ONCE} commands of yours still run")
    again = client.call("POST", f"/api/v1/instances/{ids[0]}/actions", {"verb": "start"})
    assert again[2]["number"] == asked[0][2]["number"], "one that runs already is no other one"
    other = signed_in(served)
    assert other.call("POST", f"/api/v1/instances/{ids[-1]}/actions", {"verb": "stop"})[0] == 202
    assert client.call("POST", "/api/v1/halt", {"confirm": "halt"})[0] == 202
    hanging[0].exit_code = 0
    ended(client, asked[0][2]["number"])
    assert client.call("POST", f"/api/v1/instances/{ids[-1]}/actions", {"verb": "start"})[0] == 202
    for command in hanging:
        command.exit_code = 0


class Hanging:
    """A command that runs until it is told to end."""

    def __init__(self, words: Sequence[str]) -> None:
        self.title = " ".join(["manager", *words])
        self.exit_code: int | None = None

    def new_lines(self) -> list[str]:
        return []
