"""Ask other machines which accounts their live instances trade on, and remember what they answered."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from manager.config import bot_environment
from manager.config.bot_environment import LiveContainer
from manager.config.fleet import Fleet
from manager.errors import UsageError
from manager.fleet import env_file
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project
from manager.i18n import Text
from manager.ops.hosts import (
    accounts,
    everywhere,
    generations,
    identity,
    registry,
    returning,
    shared_accounts,
    ssh,
    versions,
)
from manager.ops.hosts.accounts import HostAccounts, Trading
from manager.ops.hosts.generations import NEVER_MOVED, GenerationRecord, Gone, Lost, Twin
from manager.ops.hosts.registry import HERE, Host
from manager.ops.hosts.shared_accounts import SharedAccount
from manager.typed import NamedTuple
from manager.util import atomic_file, ownership, strict_json

ASKING_S = 20.0
"""One look at a fleet takes a second on a busy machine, and a connection across the world another."""
WORDS = ("host", "live")
MOST_SEEN_BYTES = 16_000_000


class HostAnswer(NamedTuple):
    """Hold what is known of a host. `why`: it does not answer now; `look` is then the last one.

    `is_reached`: ssh logs in all the same, so that it runs. `is_here`: it is this machine's own project.
    `same_as`: the name before it in config/hosts.toml that means the same project of the same machine.
    """

    host: Host
    look: HostAccounts | None
    why: Text | None = None
    is_reached: bool = False
    is_here: bool = False
    same_as: str = ""

    @property
    def is_repeated(self) -> bool:
        """Return whether what is there is shown under another name: `here`, or that of another host."""
        return self.is_here or bool(self.same_as)


def ask(fleet: Fleet, key: bytes, hosts: Sequence[Host], *, tries_login: bool = False) -> list[HostAnswer]:
    """Ask all hosts at once which accounts they trade on, and remember what they answer.

    `tries_login`: whether to find out if one that is silent runs all the same, which takes longer.
    """
    here = accounts.identified(key, identity.of(fleet))
    replies = everywhere.ask(hosts, WORDS, ASKING_S, key.hex().encode())
    silent = [
        host
        for host, reply in zip(hosts, replies, strict=True)
        if tries_login and isinstance(reply.error, ssh.Silent)
    ]
    with ThreadPoolExecutor(max(1, len(silent))) as pool:
        running = {
            host for host, lets_in in zip(silent, pool.map(ssh.lets_in, silent), strict=True) if lets_in
        }
    running |= {
        host for host, reply in zip(hosts, replies, strict=True) if isinstance(reply.error, ssh.Taken)
    }
    answers = []
    for host, reply in zip(hosts, replies, strict=True):
        if reply.completed is None:
            why = Text("{why}", why=reply.error)
            answers.append(HostAnswer(host, _last(fleet, host, key), why, host in running))
            continue
        try:
            content = json.loads(reply.completed.out)
            look = accounts.look(content, time.time())
        except ValueError:
            why = Text("its manager reports: {what}", what=reply.last_line)
            answers.append(HostAnswer(host, _last(fleet, host, key), why, is_reached=True))
        else:
            _remember(fleet, host, key, content, look.at)
            is_here = bool(look.identity.own) and look.identity.own == here.own
            answers.append(HostAnswer(host, look, is_reached=True, is_here=is_here))
    return _compared(answers)


def _compared(answers: Iterable[HostAnswer]) -> list[HostAnswer]:
    """Return the answers; of one machine under several names all but one tell that one, which answers."""
    compared, names = list(answers), dict[str, str]()
    for answer in sorted(compared, key=lambda answer: answer.why is not None):
        names.setdefault(_own(answer) or answer.host.name, answer.host.name)
    return [
        answer._replace(same_as="" if name == answer.host.name else name)
        for answer in compared
        for name in [names[_own(answer) or answer.host.name]]
    ]


def other_name(fleet: Fleet, answer: HostAnswer) -> str | None:
    """Return the name that config/hosts.toml has for that machine's project already, as far as is known."""
    hosts = registry.readable(fleet.project_dir)[0].values()
    others = remembered(fleet, (host for host in hosts if host.name != answer.host.name))
    own = _own(answer)
    return next((other.host.name for other in others if own and _own(other) == own), None)


def remembered(fleet: Fleet, hosts: Iterable[Host]) -> list[HostAnswer]:
    """Return what hosts answered last, without asking any."""
    key, why = key_of(fleet), Text("it was not asked")
    return [HostAnswer(host, _last(fleet, host, key), why) for host in hosts]


def recent(fleet: Fleet, hosts: Sequence[Host], within: float) -> list[HostAnswer]:
    """Return what hosts told, and ask them again if one has not answered within so many seconds."""
    answers, now = last_told(fleet, hosts), time.time()
    if all(answer.look is not None and abs(now - answer.look.at) <= within for answer in answers):
        return answers
    return ask(fleet, key_of(fleet), hosts)


def last_told(fleet: Fleet, hosts: Iterable[Host]) -> list[HostAnswer]:
    """Return what hosts told last, also which of them are one machine, without asking any."""
    own = accounts.identified(key_of(fleet), identity.of(fleet)).own
    return _compared(
        answer._replace(is_here=bool(own) and _own(answer) == own) for answer in remembered(fleet, hosts)
    )


def twins(fleet: Fleet, live_here: Iterable[str], answers: Iterable[HostAnswer]) -> list[Twin]:
    """Return the older copies of moved instances that are live, here or on another machine.

    `live_here`: what is live on this machine. One that does not answer counts as it was last seen.
    """
    machines: dict[str, tuple[Mapping[str, GenerationRecord], Mapping[str, bool]]] = {
        HERE: (generations.known(fleet), dict.fromkeys(live_here, True))
    }
    for answer, look in _machines(answers):
        live = {other.instance: other.is_up for other in look.live}
        machines[answer.host.name] = look.generations or {}, live
    return list(generations.twins(machines))


def lost(gone: Mapping[str, Gone], answers: Iterable[HostAnswer]) -> list[Lost]:
    """Return the moved instances of which the machine where they went answers that it does not know them.

    As where its disk was brought back from before the move: nobody trades then what is open. `gone`: what
    `generations.gone` told before they were asked, or one that arrives meanwhile looks lost.
    """
    told = [
        (answer, look.generations)
        for answer, look in _machines(answers)
        if answer.why is None and look.generations is not None
    ]
    missing = []
    for instance, mine in gone.items():
        place = where(mine, [answer for answer, _known in told])
        is_known = any(
            known.get(instance, NEVER_MOVED).newest >= mine.generation
            for answer, known in told
            if place is not None and (answer is place or known.get(instance, NEVER_MOVED).is_here)
        )
        if place is not None and not is_known:
            missing.append(Lost(instance, place.host.name))
    return missing


def where(gone: Gone, answers: Iterable[HostAnswer]) -> HostAnswer | None:
    """Return the machine that an instance went to: by its address, by its name in config/hosts.toml, which
    may be another one by now, or by its own name.
    """
    told = list(answers)
    tests: tuple[Callable[[HostAnswer], bool], ...] = (
        lambda answer: answer.host.url == gone.url,
        lambda answer: answer.host.name == gone.to,
        lambda answer: answer.look is not None and answer.look.name == gone.to,
    )
    return next((answer for is_it in tests for answer in told if is_it(answer)), None)


def up_there(answers: Iterable[HostAnswer]) -> set[tuple[str, str]]:
    """Return the live instances that are known to run on other machines: host and id."""
    return {
        (answer.host.name, other.instance)
        for answer in answers
        if answer.look is not None
        for other in answer.look.live
        if other.is_up
    }


def shared(
    fleet: Fleet,
    live_here: Iterable[LiveContainer],
    answers: Iterable[HostAnswer],
    twins: Iterable[Twin],
) -> list[SharedAccount]:
    """Return the live bots of different machines that trade on one account, without those of `twins`.

    None where the fleet allows it. One that does not answer counts as it was last seen. Raises ManagerError.
    """
    if fleet.allow_shared_credentials:
        return []
    key = key_of(fleet)
    machines = {
        HERE: tuple(
            Trading(
                container.instance,
                accounts.as_fingerprints(key, bot_environment.account_in(container)),
            )
            for container in live_here
        )
    }
    old = set()
    for answer, look in _machines(answers):
        machines[answer.host.name] = look.live
        if answer.why is not None:
            old.add(answer.host.name)
    told = {(twin.instance, frozenset((twin.host, twin.other))) for twin in twins}
    return [
        account
        for account in shared_accounts.find(machines, frozenset(old))
        if account.first.instance != account.second.instance
        or (account.first.instance, frozenset((account.first.host, account.second.host))) not in told
    ]


def other_versions(answers: Iterable[HostAnswer]) -> list[Text]:
    """Return what to say of the machines that answer and have another version of the manager."""
    return [
        text
        for answer, look in _machines(answers)
        if answer.why is None
        and (text := versions.difference(answer.host.name, look.version or versions.EARLIER))
    ]


def _machines(answers: Iterable[HostAnswer]) -> Iterator[tuple[HostAnswer, HostAccounts]]:
    """Yield what is known of each other machine once, whatever names it has in config/hosts.toml."""
    for answer in _compared(answers):
        if answer.look is not None and not answer.is_repeated:
            yield answer, answer.look


def answer(snapshot: FleetSnapshot, key_text: str) -> dict[str, Any]:
    """Return what another machine's manager asks for. Raises UsageError without its key."""
    try:
        key = bytes.fromhex(key_text.strip())
    except ValueError:
        key = b""
    if len(key) != accounts.KEY_BYTES:
        raise UsageError("`host live` is for the managers of other machines: it reads their key from stdin")
    project = snapshot.project
    told = accounts.answer(
        key,
        project.fleet.host_name,
        snapshot.trading(()),
        _values(snapshot, project),
        returning.returning(snapshot),
        identity.of(project.fleet),
    )
    return {
        **told,
        "generations": {
            instance: held._asdict() for instance, held in generations.known(project.fleet).items()
        },
        "image": {"name": project.fleet.image_name, "id": snapshot.image.id},
        "unwritable": _unwritable(project.fleet),
    }


def _unwritable(fleet: Fleet) -> list[str]:
    """Return the folders that this user may not write to, and that starts, moves and deployments write to."""
    folders = (fleet.project_dir, fleet.config_dir, fleet.data_dir)
    return [str(folder) for folder in folders if folder.exists() and not os.access(folder, os.W_OK | os.X_OK)]


def _values(snapshot: FleetSnapshot, project: Project) -> Iterable[str]:
    """Yield every value that this machine has for its bots: of .env, of configs, and of env files."""
    from manager.config import dotenv

    yield from dotenv.read(project.fleet.dotenv_file).variables.values()
    for values in snapshot.env_values.values():
        yield from values.values()
    for folder in project.fleet.all_secrets_dir.glob(f"*/{env_file.ENV_FILE}"):
        yield from (env_file.read(folder) or {}).values()


def new_key() -> bytes:
    """Return a key for fingerprints."""
    return secrets.token_bytes(accounts.KEY_BYTES)


def key_of(fleet: Fleet) -> bytes:
    """Return this machine's key for fingerprints, made at first use. Raises ManagerError."""
    return identity.made_once(identity.folder(fleet) / "fingerprint.key")


def _remember(fleet: Fleet, host: Host, key: bytes, content: Mapping[str, Any], at: float) -> None:
    """Save an answer. A full disk only loses the memory."""
    path = _file(fleet, host)
    with suppress(OSError):
        atomic_file.write_atomically(path, {"at": at, "of": _of(host, key), "answer": content}, 0o600)
        ownership.give_to_folder_owner(path)


def _own(answer: HostAnswer) -> str:
    return answer.look.identity.own if answer.look is not None else ""


def _last(fleet: Fleet, host: Host, key: bytes) -> HostAccounts | None:
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
    return identity.folder(fleet) / f"{host.name}.accounts.json"
