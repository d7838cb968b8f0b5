"""Keep a live bot from starting on an account that a bot of another machine trades on, or may trade on."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from manager.config import bot_environment
from manager.config.bot_environment import Account, LiveContainer
from manager.config.fleet import Fleet
from manager.errors import ManagerError, UsageError, writing_to
from manager.fleet import env_file
from manager.fleet.observe import FleetSnapshot, env_of
from manager.fleet.project import Project
from manager.i18n import Text
from manager.ops.action import Action
from manager.ops.events import OnEvent, Warned
from manager.ops.hosts import accounts, everywhere, registry
from manager.ops.hosts.accounts import Look, Trading
from manager.ops.hosts.registry import Host
from manager.util import atomic_file, formatting, ownership, strict_json

ASKING_S = 20.0
"""One look at a fleet takes a second on a busy machine, and a connection across the world another."""
WORDS = ("host", "live")
MOST_SEEN_BYTES = 16_000_000


class Found(NamedTuple):
    """Hold what is known of a host. `why`: it does not answer now; `look` is then the last one."""

    host: Host
    look: Look | None
    why: Text | None = None


def settle(
    snapshot: FleetSnapshot, actions: Sequence[Action], dead_hosts: Sequence[str], on_event: OnEvent
) -> list[Action]:
    """Leave the live instances that may not start. Other machines are asked only if one would start."""
    fleet = snapshot.project.fleet
    starting = {
        action.instance: account
        for action in actions
        if (account := _begins_on(snapshot, action)) is not None
    }
    if not starting or fleet.allow_shared_credentials:
        return list(actions)
    hosts = [host for host in registry.load(fleet.project_dir).values() if host.name != fleet.host_name]
    if not hosts:
        return list(actions)
    key = key_of(fleet)
    found = ask(fleet, key, hosts)
    mine = {instance: accounts.as_fingerprints(key, account) for instance, account in starting.items()}
    now = time.time()
    for line in _warnings(found, dead_hosts, now):
        on_event(Warned(line))
    return [
        Action("leave", action.instance, why, is_refused=True)
        if action.instance in mine and (why := _why_not(mine[action.instance], found, dead_hosts, now))
        else action
        for action in actions
    ]


def _why_not(mine: Account, found: Iterable[Found], dead_hosts: Sequence[str], now: float) -> Text | None:
    """Return why a live bot may not start on this account; None if it may."""
    for host, seen, why in found:
        other = _same(mine, seen)
        if why is None:
            if other is not None:
                return Text(
                    "{other} of host {host} trades {symbol} live, apparently with the same credentials; run"
                    " `manager --host {host} down {other}` first",
                    other=other.instance,
                    host=host.name,
                    symbol=mine.symbol,
                )
        elif host.name in dead_hosts:
            continue
        elif seen is None:
            return Text(
                "host {host} does not answer and was never seen: it may trade on the same account ({why})."
                " If nothing trades there any more, add --host-is-dead {host}",
                host=host.name,
                why=why,
            )
        elif other is not None:
            return Text(
                "host {host} does not answer ({why}), and {age} ago its {other} traded {symbol} live,"
                " apparently with the same credentials. If nothing trades there any more, add"
                " --host-is-dead {host}",
                host=host.name,
                why=why,
                age=formatting.age(now - seen.at),
                other=other.instance,
                symbol=mine.symbol,
            )
        elif accounts.may_be_known(mine, seen):
            return Text(
                "host {host} does not answer ({why}), and {age} ago it had the same credentials: it may trade"
                " with them. If nothing trades there any more, add --host-is-dead {host}",
                host=host.name,
                why=why,
                age=formatting.age(now - seen.at),
            )
    return None


def _same(mine: Account, seen: Look | None) -> Trading | None:
    live = seen.live if seen else ()
    return next((other for other in live if bot_environment.is_same(mine, other.account)), None)


def _warnings(found: Iterable[Found], dead_hosts: Sequence[str], now: float) -> Iterable[Text]:
    """Yield what a person should know of each host that does not answer."""
    for host, seen, why in found:
        if why is None and host.name in dead_hosts:
            yield Text("host {host} answers: --host-is-dead {host} counts for nothing", host=host.name)
        elif why is not None and host.name not in dead_hosts and seen is not None:
            yield Text(
                "host {host} does not answer; what it had {age} ago counts",
                host=host.name,
                age=formatting.age(now - seen.at),
            )


def _begins_on(snapshot: FleetSnapshot, action: Action) -> Account | None:
    """Return the account that a live bot would begin to trade on by this action.

    None for what runs on it already: nothing is asked for that, because a host that is away must not keep
    a bot from being restarted.
    """
    if not action.starts:
        return None
    project, plan_input, instance = snapshot.project, snapshot.plan_input, action.instance
    spec, container = project.specs.get(instance), plan_input.containers.get(instance)
    runs = container is not None and container.mode == "live" and plan_input.is_up(instance)
    if action.as_it_was and container is not None:
        is_idle = container.mode == "live" and not runs
        return bot_environment.account_in(snapshot.trading_of(container)) if is_idle else None
    if spec is None or spec.mode != "live":
        return None
    mine = bot_environment.account_of(spec, project.fleet, project.variables)
    if runs and container is not None and _is_unchanged(mine, snapshot.trading_of(container)):
        return None
    return mine


def _is_unchanged(mine: Account, present: LiveContainer) -> bool:
    return present.values is not None and bot_environment.is_same(mine, bot_environment.account_in(present))


def ask(fleet: Fleet, key: bytes, hosts: Sequence[Host]) -> list[Found]:
    """Ask all hosts at once which accounts they trade on, and remember what they answer."""
    found = []
    for host, reply in zip(hosts, everywhere.ask(hosts, WORDS, ASKING_S, key.hex().encode()), strict=True):
        if reply.done is None:
            found.append(Found(host, _last(fleet, host, key), Text("{why}", why=reply.error)))
            continue
        try:
            content = json.loads(reply.done.out)
            look = accounts.look(content, time.time())
        except ValueError:
            lines = reply.done.err.strip().splitlines() or [reply.done.out.strip()[:80] or "-"]
            why = Text("its manager says: {what}", what=lines[-1])
            found.append(Found(host, _last(fleet, host, key), why))
        else:
            _remember(fleet, host, key, content, look.at)
            found.append(Found(host, look))
    return found


def answer(snapshot: FleetSnapshot, key_text: str) -> dict[str, Any]:
    """Return what another machine's manager asks for. Raises UsageError without its key."""
    try:
        key = bytes.fromhex(key_text.strip())
    except ValueError:
        key = b""
    if len(key) != accounts.KEY_BYTES:
        raise UsageError("`host live` is for the managers of other machines: it reads their key from stdin")
    project = snapshot.project
    return accounts.answer(key, project.fleet.host_name, snapshot.trading(()), _values(snapshot, project))


def _values(snapshot: FleetSnapshot, project: Project) -> Iterable[str]:
    """Yield every value that this machine has for its bots: of .env, of configs, and of env files."""
    from manager.config import dotenv

    yield from dotenv.read(project.fleet.dotenv_file).variables.values()
    for values in snapshot.env_values.values():
        yield from values.values()
    for folder in (project.fleet.data_dir / "secrets").glob(f"*/{env_file.ENV_FILE}"):
        yield from (env_of(folder) or {}).values()


def new_key() -> bytes:
    """Return a key for fingerprints."""
    return secrets.token_bytes(accounts.KEY_BYTES)


def key_of(fleet: Fleet) -> bytes:
    """Return this machine's key for fingerprints, made at first use. Raises ManagerError."""
    path = _folder(fleet) / "fingerprint.key"
    with writing_to(path):
        ownership.make_folder(path.parent)
        with suppress(FileExistsError):
            atomic_file.create(path, new_key(), 0o600)
            ownership.give_to_folder_owner(path)
        key = path.read_bytes()
    if len(key) != accounts.KEY_BYTES:
        raise ManagerError("{path} is damaged; remove it", path=path)
    return key


def _remember(fleet: Fleet, host: Host, key: bytes, content: Mapping[str, Any], at: float) -> None:
    """Save an answer. A full disk only loses the memory."""
    path = _file(fleet, host)
    with suppress(OSError):
        atomic_file.write_atomically(path, {"at": at, "of": _of(host, key), "answer": content}, 0o600)
        ownership.give_to_folder_owner(path)


def _last(fleet: Fleet, host: Host, key: bytes) -> Look | None:
    """Return the last answer of a host; None if there is none, or of another address or key."""
    try:
        content: Any = strict_json.read(_file(fleet, host), MOST_SEEN_BYTES)
        if content["of"] != _of(host, key):
            return None
        return accounts.look(content["answer"], float(content["at"]))
    except (strict_json.JsonFault, OSError, TypeError, KeyError, ValueError):
        return None


def _of(host: Host, key: bytes) -> str:
    return accounts.fingerprint(key, host.url)


def _file(fleet: Fleet, host: Host) -> Path:
    return _folder(fleet) / f"{host.name}.accounts.json"


def _folder(fleet: Fleet) -> Path:
    return fleet.state_dir / ".hosts"  # no instance's folder: ids begin with a letter or digit
