"""Verdicts on the project: configs, files, and what the engine has of the fleet. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from manager.engine.labels import is_contract, is_known_contract
from manager.i18n import Text
from manager.monitor.doctor.facts import Client, Facts, Files, Fleet, Stale
from manager.monitor.doctor.findings import Line, fail, ok, warn
from manager.util.formatting import MB

LOCK_WARN_S = 600
"""No command holds the fleet for so long: the slowest stop takes two minutes."""
NOT_WELL = frozenset({"failed", "unhealthy", "restarting"})

STALE = {
    "temporary": Text("{path}: a killed writer's temporary file, {size:.1f} MB"),
    "staged": Text("{path}: an env file that was never put to use, {size:.1f} MB; it holds credentials"),
    "before-restore": Text("{path}: what a restore moved aside, {size:.1f} MB"),
    "interrupted": Text("{path}: a restore that was interrupted, {size:.1f} MB"),
    "unconfigured": Text("{path}: no config names its instance, {size:.1f} MB"),
}


def lines(facts: Facts) -> Iterator[Line]:
    """Everything about the project."""
    yield packages(facts.client)
    if facts.files is None:
        yield fail(
            "configs",
            Text("{why}", why=facts.project_fault),
            Text("mend it; `manager config --check` says whether it is"),
        )
        return
    yield from configs(facts.files)
    yield from ports(facts.files)
    yield from owners(facts.files)
    yield from dotenv(facts.files)
    yield from secrets(facts.files)
    yield from lock(facts.files)
    yield from stale(facts.files.stale)
    if facts.fleet is not None:
        yield from fleet(facts.fleet)


def packages(client: Client) -> Line:
    """Those that the manager was installed with."""
    text = Text("Python {version}", version=client.python)
    if client.missing_packages:
        names = ", ".join(client.missing_packages)
        return fail("python", Text("Python {version}; missing: {names}", version=client.python, names=names),
                    Text("`make clean`, then `make up`"))  # fmt: skip
    return ok("python", text)


def configs(files: Files) -> Iterator[Line]:
    """Nothing starts while one is unsound."""
    for problem in files.problems:
        yield fail(
            "configs",
            Text("{why}", why=problem),
            Text("mend it; `manager config --check` says whether it is"),
        )
    if not files.problems and files.configs:
        yield ok("configs", Text("{count} configs are sound", count=files.configs))
    elif not files.problems:
        yield warn(
            "configs",
            Text("there is no config"),
            Text("`manager new` makes one; config/templates has some to start from"),
        )


def ports(files: Files) -> Iterator[Line]:
    """A port that somebody else has keeps a bot from starting."""
    taken = [each for each in files.ports if not each.is_free and not each.is_ours]
    for each in taken:
        yield fail("ports", Text("{id}: another program has port {port}", id=each.instance, port=each.number),
                   Text("`ss -ltnp sport = {port}` names it; or give the config another web_port", port=each.number))  # fmt: skip
    if files.ports and not taken:
        yield ok("ports", Text("{count} web ports are free, or ours", count=len(files.ports)))


def owners(files: Files) -> Iterator[Line]:
    """The bots write as one user, whose the folders must be."""
    if files.data is None:
        return
    if files.data.mode & 0o002:
        yield warn(
            "owners",
            Text("{path} is writable by everybody", path=files.data.path),
            Text("`chmod o-w {path}`", path=files.data.path),
        )
    foreign = [each for each in files.databases if files.bot_uid is not None and each.uid != files.bot_uid]
    for each in foreign:
        yield warn("owners", Text("{path} belongs to uid {uid}, the bots run as {wanted}", path=each.path, uid=each.uid, wanted=files.bot_uid),
                   Text("`chown -R {wanted} {path}`; as root `manager up` does it", path=each.path, wanted=files.bot_uid))  # fmt: skip
    if not foreign:
        yield ok("owners", Text("folders belong to the bots' user ({uid})", uid=files.bot_uid))


def dotenv(files: Files) -> Iterator[Line]:
    """The keys' own file."""
    if files.dotenv is None:
        return
    if files.dotenv.mode & 0o077:
        yield warn(
            "dotenv",
            Text("{path} can be read by others", path=files.dotenv.path),
            Text("`chmod 600 {path}`", path=files.dotenv.path),
        )
    else:
        yield ok("dotenv", Text("{path} can be read by its owner only", path=files.dotenv.path))


def secrets(files: Files) -> Iterator[Line]:
    """Folders 0700, env files 0400: what `up` makes them."""
    wide = [each for each in files.secrets if each.mode & 0o077]
    for each in wide:
        yield fail("secrets", Text("{path} can be read by others (mode {mode})", path=each.path, mode=f"{each.mode:04o}"),
                   Text("`chmod go= {path}`, and think of the keys as known", path=each.path))  # fmt: skip
    if files.secrets and not wide:
        yield ok(
            "secrets",
            Text(
                "{count} env files and folders can be read by the bots' user only", count=len(files.secrets)
            ),
        )


def lock(files: Files) -> Iterator[Line]:
    """Held by a manager that works, or by one that hangs."""
    if files.lock_held_by and files.lock_held_s > LOCK_WARN_S:
        yield warn("lock", Text("{holder} has held the fleet's lock for {minutes:.0f} min", holder=files.lock_held_by, minutes=files.lock_held_s / 60),
                   Text("look whether it still works; `manager stop --force` passes the lock"))  # fmt: skip
    elif files.lock_held_by:
        yield ok("lock", Text("{holder} is at work", holder=files.lock_held_by))
    else:
        yield ok("lock", Text("nobody holds the fleet's lock"))


def stale(found: tuple[Stale, ...]) -> Iterator[Line]:
    """Named with its size, and never removed: what looks stale may be all that somebody has."""
    for each in found:
        text = Text(STALE[each.what].message, path=each.path, size=each.size / MB)
        remedy = (
            Text("run the same `manager restore` again")
            if each.what == "interrupted"
            else Text("remove it once you are sure")
        )
        yield warn("stale", text, remedy)
    if not found:
        yield ok("stale", Text("no stale files"))


def fleet(found: Fleet) -> Iterator[Line]:
    """What the engine has of it."""
    yield image(found)
    for text in found.foreign:
        yield fail("foreign", Text("{why}", why=text), Text("one fleet name, one project folder"))
    for text in found.old_daemon:
        yield fail("old-daemon", Text("{why}", why=text), Text("docs/migration.md"))
    yield from _counted("drift", [each.id for each in found.instances if {"config", "environment"} & {*each.drift}],
                        Text("differ from their configs"), Text("`manager plan` shows in what, `manager up` applies it"))  # fmt: skip
    yield from _counted("image-drift", [each.id for each in found.instances if "image" in each.drift],
                        Text("run an older image"), Text("`manager up --recreate`"))  # fmt: skip
    yield from _counted(
        "orphans", found.orphans, Text("no config names them"), Text("`manager down --remove-orphans`")
    )
    yield from _counted("strays", found.strays, Text("bear the labels of an instance and are not its container"),
                        Text("`docker rm -f` removes them"))  # fmt: skip
    bad = [each for each in found.instances if each.state in NOT_WELL or each.has_fallen]
    for each in bad:
        yield warn(
            "instances",
            Text("{id} is {state}: {why}", id=each.id, state=Text(each.state), why=each.why),
            Text("`manager logs {id}`", id=each.id),
        )
    if not bad and found.instances:
        running = sum(each.state == "running" for each in found.instances)
        yield ok(
            "instances",
            Text(
                "{running} of {count} instances run, none is failed or unhealthy",
                running=running,
                count=len(found.instances),
            ),
        )


def image(found: Fleet) -> Line:
    """Without it nothing starts."""
    if found.image_contract is None:
        return fail(
            "image", Text("the image {image} is not there", image=found.image), Text("`manager build`")
        )
    contract = found.image_contract
    if not is_contract(contract):
        return fail(
            "image",
            Text("the image {image} has no botfleet supervisor", image=found.image),
            Text("`manager build --bot DIR`"),
        )
    if not is_known_contract(contract):
        return fail(
            "image",
            Text(
                "the image {image} keeps contract {contract}, which this manager does not know",
                image=found.image,
                contract=contract,
            ),
            Text("update the manager, or `manager build`"),
        )
    return ok("image", Text("image {image}", image=found.image))


def _counted(check: str, names: list[str] | tuple[str, ...], what: Text, remedy: Text) -> Iterator[Line]:
    if names:
        yield warn(check, Text("{names}: {what}", names=", ".join(names), what=what), remedy)
