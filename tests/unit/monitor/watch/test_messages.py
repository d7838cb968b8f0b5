"""Addresses that are never shown, the daily report, the systemd unit, the state file."""

from __future__ import annotations

import shutil
import subprocess
from collections import deque
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from manager.config import fleet_settings
from manager.errors import ConfigError, ManagerError
from manager.i18n import Text
from manager.monitor.watch import addresses, daily_report, service, store
from manager.monitor.watch.alert_rules import Condition, Progress
from manager.monitor.watch.alert_state import Alert, Open
from manager.monitor.watch.deliver import MOST_WAITING, Answer, Deliverer, _Box
from manager.monitor.watch.history import NO_HISTORY, History, Past
from manager.monitor.watch.machine_rules import Disk
from manager.monitor.watch.messages import Message
from manager.monitor.watch.notifier import Notifier
from manager.util import console
from manager.util.formatting import MB
from tests.builders import a_fleet
from tests.fleet import eventually
from tests.receiver import a_receiver
from tests.unit.monitor.watch.test_alert_rules import NOW, a_view


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("json://user:SECRET@127.0.0.1:8080/SECRET?x=SECRET", "json://127.0.0.1"),
        ("mailtos://me:SECRET@mail.example?to=a@b.example", "mailtos://mail.example"),
        ("https://discord.com/api/webhooks/1/SECRET", "https://discord.com"),
        ("tgram://SECRET:TOKEN/12345/", "tgram://…"),
        ("discord://SECRET/TOKEN", "discord://…"),
        ("ntfy://SECRET", "ntfy://…"),
        ("SECRET", "…"),
        ("SECRET KEY://x", "…"),
        ("json://[SECRET", "json://…"),
    ],
)
def test_an_address_shows_nothing_that_opens_anything(url: str, shown: str) -> None:
    assert addresses.masked(url) == shown


def test_addresses_come_from_variables_with_their_proxies() -> None:
    targets = addresses.resolve(
        ["${ONE}", "${TWO}"], {"ONE": "json://h", "https_proxy": "http://p:1", "X": "y"}
    )
    assert [(message.shown, message.url, dict(message.environ)) for message in targets] == [
        ("json://h", "json://h", {"https_proxy": "http://p:1"}),
        ("${TWO}", "", {}),
    ]


@pytest.mark.parametrize(
    "urls", ['["tgram://SECRET/1"]', '"tgram://SECRET/1"', '["${ONE}SECRET"]', "[1]", '["${ONE:-SECRET}"]']
)
def test_an_address_in_clear_text_is_refused_and_not_shown(tmp_path: Path, urls: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "fleet.toml").write_text(f'name = "desk"\n[alerts]\nurls = {urls}\n')
    with pytest.raises(ConfigError) as caught:
        fleet_settings.load(tmp_path)
    assert str(caught.value) == (
        'config/fleet.toml: alerts.urls: must be a list of references such as ["${ALERT_URL}"],'
        " because an address contains credentials; write ALERT_URL=… in .env"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'urls = ["${ALERT_API_URL}"]',
            "alerts.urls[0]: ALERT_API_URL is one of the variables that every bot receives",
        ),
        ("down_aftr = 3", "alerts.down_aftr: is not a known key; did you mean down_after?"),
        ('digest_at = "8:00"', "alerts.digest_at: must be a time of day such as 08:00"),
        ("remind_after = -1", "alerts.remind_after: must be 0-604800, not -1"),
    ],
)
def test_a_fault_in_the_alerts_names_its_key(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "fleet.toml").write_text(f'name = "desk"\n[alerts]\n{text}\n')
    with pytest.raises(ConfigError) as caught:
        fleet_settings.load(tmp_path)
    assert expected in str(caught.value)


def test_the_daily_report_is_sent_once_a_day() -> None:
    morning, evening = datetime(2026, 11, 25, 7, 59), datetime(2026, 11, 25, 20, 0)
    assert not daily_report.is_due("08:00", morning, "2026-11-24")
    assert daily_report.is_due("08:00", evening, "2026-11-24")
    assert not daily_report.is_due("08:00", evening, "2026-11-25")
    assert not daily_report.is_due("", evening, "")


def test_the_daily_report_says_how_the_fleet_is() -> None:
    views = {"one": a_view(), "two": a_view("failed", why="exit code 1"), "three": a_view()}
    pasts = {"one": Past(2, (NOW - 10, NOW - 20)), "two": Past(9, (NOW - 90_000,))}
    history = History({**pasts, "three": Past(3, (NOW - 5, NOW - 6, NOW - 7))})
    progress = {
        "one": Progress(pnl=Decimal("1.5"), quote="USDC"),
        "three": Progress(pnl=Decimal(-4), quote="USDC"),
        "two": Progress(),
    }
    disk = Disk("/srv", 1536 * MB, 102_400 * MB, 0, 0)
    message = daily_report.text("desk", views, history, progress, disk, NOW)
    assert message.title == "botfleet desk: daily report: 2 running, 1 failed"
    assert message.body.splitlines() == [
        "failed: two",
        "restarts of the last 24 h: three 3, one 2",
        "P&L: -2.50 USDC (paper, 2 bots)",
        "disk: 1.54 GB free of 102 GB",
    ]


def test_the_state_file_outlives_a_restart_and_a_foreign_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "watch.json"
    assert store.load(path) is None
    saved = store.Saved(
        {("one", "failed"): Open(1.0, 2.0)},
        NO_HISTORY.after([a_view()], NOW),
        "2026-11-25",
        {"${ONE}": (Message("one failed", "exit code 1", "bad"),)},
    )
    store.save(path, saved)
    assert store.load(path) == saved
    for text in (
        "{",
        "[]",
        '{"schema": 1, "open": [["one", "sad", 1, 1, null]], "instances": {}, "digest": "", "waiting": {}}',
        '{"schema": 1, "open": [], "instances": {}, "digest": "", "waiting":'
        ' {"${ONE}": [["one failed", "", "sad"]]}}',
    ):
        path.write_text(text)
        assert store.load(path) is None


@pytest.mark.parametrize("is_user", [False, True])
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path, is_user: bool) -> None:
    folder = tmp_path / '50% of "my" $HOME\\desk'
    python = tmp_path / "a venv" / "python3"
    python.parent.mkdir()
    python.symlink_to("/bin/true")
    folder.mkdir()
    unit = tmp_path / "botfleet-watch-desk.service"
    unit.write_text(
        service.unit_text("desk", folder, python, {"DOCKER_HOST": "unix:///run/a b/x"}, is_user=is_user)
    )
    lines = unit.read_text().splitlines()
    quoted = str(folder).replace("%", "%%")
    assert f"WorkingDirectory={quoted}" in lines
    escaped = quoted.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    assert f'ExecStart="{python}" -m manager --project-dir "{escaped}" watch' in lines
    assert 'Environment="DOCKER_HOST=unix:///run/a b/x"' in lines
    assert ("OOMScoreAdjust=-500" in lines) is not is_user
    if shutil.which("systemd-analyze") and not is_user:  # of a user's unit it needs a user's session
        done = subprocess.run(
            ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_what_was_begun_on_the_page_outlives_its_service() -> None:
    """With the mode `mixed`, systemd kills all that is left once the main process has ended."""
    texts = {command: service.unit_of(a_fleet(), command=command).text for command in ("watch", "serve")}
    modes = {
        command: [line for line in text.splitlines() if line.startswith("KillMode")]
        for command, text in texts.items()
    }
    assert modes == {"watch": ["KillMode=mixed"], "serve": ["KillMode=process"]}


def test_the_unit_may_speak_to_the_firewall_only_where_egress_is_limited() -> None:
    plain, limited = (service.unit_of(a_fleet(egress=egress)).text for egress in (False, True))
    if "RestrictAddressFamilies" in plain:  # the system's unit, of root
        assert "AF_INET6\n" in plain
        assert "AF_INET6 AF_NETLINK\n" in limited
    else:
        assert plain == limited


def test_a_queue_that_nobody_takes_from_is_bounded_and_said() -> None:
    messages: list[str] = []
    deliverer = Deliverer(messages.append)
    address = addresses.Address("${NOT_SET}", "")
    # all at once: of several calls, the thread may take fifty before the others are put
    deliverer.put(Message("message", "", "bad"), [address] * (MOST_WAITING + 50))
    deliverer.close()
    assert "too many messages are queued for ${NOT_SET}; the oldest is dropped" in messages
    assert any(
        f"{MOST_WAITING} messages are queued" in line and "NOT_SET} is not set" in line for line in messages
    ), messages


def test_what_could_not_be_sent_keeps_its_order_and_is_tried_less_often_each_time() -> None:
    lines: list[str] = []
    deliverer = Deliverer(lines.append)
    box = _Box(addresses.Address("${ONE}", "x"), deque(maxlen=MOST_WAITING))
    first, second, third = (Message(title, "", "bad") for title in ("first", "second", "third"))
    box.waiting.append(third)
    deliverer._boxes["${ONE}"] = box
    deliverer._under_way = {"${ONE}": (first, second)}
    assert deliverer.waiting() == {"${ONE}": (first, second, third)}, "it is kept until it is accepted"
    deliverer._under_way = {}
    deliverer._note(box, [first, second], Answer(False, "busy"))
    assert list(box.waiting) == [first, second, third]
    for _time in range(5):
        deliverer._note(box, [], Answer(False, "busy"))
    deliverer._note(box, [], Answer(True))
    deliverer._note(box, [], Answer(False, "busy"))
    assert [int(line.split()[-2]) for line in lines] == [5, 15, 60, 300, 900, 900, 5]
    assert deliverer._due() is None
    deliverer._next_try.clear()
    assert deliverer._due() is box
    deliverer._is_ending = True
    deliverer._note(box, [], Answer(False, "busy"))
    assert deliverer._next_try["${ONE}"] == float("inf"), "once more, and then it ends"


def test_what_could_not_be_sent_is_sent_by_the_next_watch(tmp_path: Path) -> None:
    """A watch that is started again while the way out is down has said nothing yet."""
    fleet, rules = a_fleet(data_dir=tmp_path), a_fleet().alerts
    fleet.state_dir.mkdir()
    nowhere = addresses.Address("${ALERT_URL}", "")
    first = Notifier(fleet, NOW)
    first.add(Alert("one", "failed", "bad", Text("one failed: exit code 1")), NOW)
    first.close([nowhere])
    with a_receiver() as receiver:
        reachable = nowhere._replace(url=receiver.url)
        second = Notifier(fleet, NOW)
        second.flush([reachable], rules)
        eventually(lambda: receiver.text_with("desk: one failed: exit code 1"), 20, "the message")
        second.close([reachable])
        third = Notifier(fleet, NOW)
        third.flush([reachable], rules)
        third.close([reachable])
    assert len(receiver.posts) == 1


def test_an_alert_during_which_the_watch_is_ended_is_said_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = a_fleet(data_dir=tmp_path)
    fleet.state_dir.mkdir()

    def noted(newsroom: Notifier) -> None:
        fault = Condition("one", "failed", Text("one failed: exit code 1"))
        newsroom.note([fault], fleet.alerts, NOW, well=(), away=(), are_unknown=False, unsettled=())

    def ended(_line: str) -> None:
        raise KeyboardInterrupt

    first = Notifier(fleet, NOW)
    with monkeypatch.context() as during:
        during.setattr(console, "say", ended)
        with pytest.raises(KeyboardInterrupt):
            noted(first)
    first.close([])
    messages: list[str] = []
    monkeypatch.setattr(console, "say", messages.append)
    noted(Notifier(fleet, NOW))
    assert len(messages) == 1


@pytest.mark.parametrize("command", ["watch", "serve"])
def test_without_systemd_what_was_asked_for_is_to_be_run_by_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(service, "RUNNING_SYSTEMD", tmp_path / "none")
    with pytest.raises(ManagerError, match=rf"have your service manager run `.* -m manager {command}` in /"):
        list(service.install(service.unit_of(a_fleet(), command=command)))


def test_a_users_service_ends_with_the_login_and_without_a_login_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It said that it starts at every boot, and the line below that it does not."""
    answers = [""]
    systemctl = tmp_path / "systemctl"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(service, "RUNNING_SYSTEMD", tmp_path)
    monkeypatch.setattr(service, "_lingers", lambda: "lingers" in answers)
    unit = service.Unit(tmp_path / "units" / "botfleet-watch-desk.service", "[Unit]\n", is_user=True)
    systemctl.write_text("#!/bin/sh\n")
    systemctl.chmod(0o755)
    _written, running, ends = service.install(unit)
    assert "every boot" not in running
    assert "enable-linger" in ends
    answers.append("lingers")
    assert "every boot" in list(service.install(unit))[-1]
    systemctl.write_text("#!/bin/sh\necho 'Failed to connect to bus: No medium found' >&2; exit 1\n")
    with pytest.raises(ManagerError, match=r"enable-linger .* XDG_RUNTIME_DIR=/run/user/"):
        list(service.install(unit))


def test_the_service_is_installed_once_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(
        f'#!/bin/sh\necho "$@" >> "{calls}"\n[ "$1" != enable ] || [ ! -e "{tmp_path}/broken" ] || exit 1\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(systemctl.parent), prepend=":")
    monkeypatch.setattr(service, "RUNNING_SYSTEMD", tmp_path)
    unit = service.Unit(tmp_path / "units" / "botfleet-watch-desk.service", "[Unit]\n", is_user=False)
    for word in ("written", "up to date"):
        first, _second = service.install(unit)
        assert first == f"{unit.path}: {word}"
    assert list(service.remove(unit)) == [f"{unit.path}: removed"]
    assert "nothing to do" in next(service.remove(unit))
    assert calls.read_text().splitlines() == [
        "daemon-reload",
        f"enable {unit.name}",
        f"restart {unit.name}",
        "daemon-reload",
        f"enable {unit.name}",
        f"start {unit.name}",
        f"disable --now {unit.name}",
        "daemon-reload",
    ]
    (tmp_path / "broken").touch()
    with pytest.raises(ManagerError, match=r"`systemctl enable botfleet-watch-desk.service` failed"):
        list(service.install(unit))
