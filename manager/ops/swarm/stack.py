"""Render the stack file, and write the values for its secrets beside it, for this machine's owner only."""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

from manager.config import bot_environment
from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import swarm_stack
from manager.engine.swarm_stack import Placement
from manager.errors import ConfigError, ImageMissing, ManagerError, NotFound, Problem, writing_to
from manager.fleet import env_file_values, observe
from manager.fleet.observe import Image
from manager.fleet.project import Project
from manager.fleet.session import Session
from manager.fleet.time_zone import time_zone
from manager.i18n import Text
from manager.ops.folders import instance_folders
from manager.ops.hosts import identity, registry
from manager.ops.hosts.registry import Host
from manager.ops.swarm import places, refusals
from manager.ops.swarm.places import Place
from manager.typed import NamedTuple
from manager.util import atomic_file, ownership
from manager.util.trusted_folder import unlink_in_trusted

FILE = "stack.yaml"
FIRST_PORT = 5001
"""For a config that names no port: each container has a network of its own, and publishes nothing."""


CHOSEN = "chosen.yaml"
"""The stack of the instances that `up` names: the others' services are left as they are."""


class Rendered(NamedTuple):
    """Hold a stack and where its file lies, and the values for its secrets by the path of their file.

    `places`: instance → the id of its node, and the name of that machine.
    """

    path: Path
    text: str
    secrets: Mapping[Path, bytes]
    warnings: tuple[Text, ...] = ()
    places: Mapping[str, tuple[str, str]] = MappingProxyType({})


class Pinned(NamedTuple):
    """Hold an instance and the name of its machine."""

    spec: InstanceSpec
    machine: str


class Choice(NamedTuple):
    """Hold the instances that can be rendered, and what is wrong with the configs of others."""

    chosen: tuple[Pinned, ...]
    problems: tuple[Problem, ...]

    @property
    def ids(self) -> frozenset[str]:
        """Return the instances that can be rendered."""
        return frozenset(pinned.spec.id for pinned in self.chosen)


def choose(project: Project) -> Choice:
    """Return all instances, those of other machines too, each with the machine that it belongs to.

    A config that `up` would refuse, or that Swarm cannot run safely, holds back only itself. Raises
    ConfigError for what concerns the whole fleet.
    """
    here = project.fleet.host_name
    everything = [Pinned(_with_port(spec), here) for spec in project.specs.values()]
    everything += [
        Pinned(_with_port(loaded.spec), loaded.elsewhere)
        for loaded in project.loaded.elsewhere.values()
        if loaded.spec is not None
    ]
    specs = [pinned.spec for pinned in everything]
    problems = _once(
        [
            *project.problems,
            *project.refusals,
            *(problem for loaded in project.loaded.elsewhere.values() for problem in loaded.refusals),
            *bot_environment.credential_problems(specs, project.fleet, project.variables),
            *refusals.of(specs, project.fleet),
        ]
    )
    files = {loaded.file for loaded in project.loaded.files}
    if project.blocking_problems or any(problem.file not in files for problem in problems):
        raise ConfigError(problems)
    held = {file for problem in problems for file in (problem.file, problem.also)}
    chosen = [pinned for pinned in everything if pinned.spec.config_file not in held]
    return Choice(tuple(sorted(chosen, key=lambda pinned: pinned.spec.id)), tuple(problems))


def render(session: Session, project: Project, choice: Choice, only: Collection[str] = ()) -> Rendered:
    """Make the folders on the nodes, and render the stack; with `only`, that of these instances alone.

    Raises ManagerError.
    """
    fleet = project.fleet
    image = _image(session, fleet)
    chosen = [pinned for pinned in choice.chosen if not only or pinned.spec.id in only]
    hosts = registry.load(fleet.project_dir)
    machines = sorted({pinned.machine for pinned in chosen})
    if missing := [name for name in machines if name != fleet.host_name and name not in hosts]:
        raise ManagerError(
            "no machine is known as {names}: `manager host add NAME ssh://USER@HOST/FOLDER` adds one, and its"
            " folders are made by that",
            names=", ".join(missing),
        )
    with ThreadPoolExecutor(max(1, len(machines))) as pool:
        answers = pool.map(
            lambda name: places.prepare(
                hosts.get(name) if name != fleet.host_name else None,
                fleet,
                [pinned.spec for pinned in chosen if pinned.machine == name],
                image.id,
            ),
            machines,
        )
        places_by_machine = dict(zip(machines, answers, strict=True))
    for name, place in places_by_machine.items():
        _require_free(
            name, place, [pinned.spec.id for pinned in chosen if pinned.machine == name], image.id, hosts
        )
    path = _folder(fleet) / CHOSEN if only else fleet.project_dir / FILE
    text, secrets = _assembled(project, chosen, places_by_machine, image, path.parent)
    warnings = [
        Text(
            "{id} has a halt mark on {machine}, and no bot runs in its task: remove"
            " {folder}/secrets/{id}/halted there, then run `manager --swarm halt {id}` and `up {id}`",
            id=spec.id,
            machine=machine,
            folder=places_by_machine[machine].data_dir,
        )
        for spec, machine in chosen
        if spec.id in places_by_machine[machine].halted
    ]
    at = {spec.id: (places_by_machine[machine].node, machine) for spec, machine in chosen}
    return Rendered(path, text, secrets, tuple(warnings), at)


def write(fleet: Fleet, rendered: Rendered) -> None:
    """Write the stack and the values for it. Raises ManagerError."""
    folder = _folder(fleet)
    with writing_to(rendered.path):
        ownership.make_folder(folder, 0o700)
        instance_folders.keep_from_git(folder)
        for old in folder.glob("*.json"):
            if old not in rendered.secrets:
                unlink_in_trusted(old)
        for file, content in rendered.secrets.items():
            atomic_file.replace_bytes(file, content, 0o600)
        atomic_file.replace_bytes(rendered.path, rendered.text.encode(), 0o644)


def forget_values(fleet: Fleet) -> None:
    """Remove the values after a deployment: from now on the Swarm has them."""
    for file in _folder(fleet).glob("*.json"):
        unlink_in_trusted(file)
    unlink_in_trusted(_folder(fleet) / CHOSEN)


def _assembled(
    project: Project,
    chosen: Sequence[Pinned],
    places_by_machine: Mapping[str, Place],
    image: Image,
    beside: Path,
) -> tuple[str, dict[Path, bytes]]:
    fleet = project.fleet
    key = identity.made_once(identity.folder(fleet) / "swarm.key")
    for_all = bot_environment.shared_variables(fleet, project.variables, time_zone())
    is_bundled_bot = image.has_bundled_bot(fleet)
    placed, secrets = [], {}
    for spec, machine in chosen:
        values = env_file_values.of_spec(spec, project, for_all, is_bundled_bot=is_bundled_bot)
        content = json.dumps(values, sort_keys=True, ensure_ascii=False).encode()
        file = _folder(fleet) / f"{spec.id}.json"
        secrets[file] = content
        place = places_by_machine[machine]
        placed.append(
            (
                spec,
                Placement(
                    place.node,
                    machine,
                    place.data_dir,
                    place.uid,
                    place.gid,
                    secret_name(key, fleet.name, spec.id, content),
                    f"./{file.relative_to(beside)}" if file.is_relative_to(beside) else str(file),
                ),
            )
        )
    return swarm_stack.render(placed, fleet, image.id), secrets


def secret_name(key: bytes, fleet: str, instance: str, content: bytes) -> str:
    """Return a name that changes with the values and tells nothing of them: a secret cannot be changed."""
    digest = hmac.digest(key, b"\0".join((fleet.encode(), instance.encode(), content)), "sha256")
    return f"botfleet-{digest.hex()[:40]}"


def _require_free(
    name: str, place: Place, ids: Sequence[str], image_id: str, hosts: Mapping[str, Host]
) -> None:
    """Raise ManagerError where an instance may not run as a service there."""
    if plain := sorted(place.plain.intersection(ids)):
        raise ManagerError(
            "node {name}: {ids} run there as containers of its own manager; `manager down {ids}` there first",
            name=name,
            ids=" ".join(plain),
        )
    if moved := sorted(place.moved.intersection(ids)):
        raise ManagerError(
            "node {name}: {ids} were moved away from there (`manager move`); pin them to the machine that has"
            " them",
            name=name,
            ids=", ".join(moved),
        )
    if not place.has_image:
        command = f"manager host deploy {name}" if name in hosts else "manager build"
        raise ImageMissing(
            "node {name}: the image {image} is missing there, and Swarm pulls no image by its id: run"
            " `{command}`",
            name=name,
            image=image_id.removeprefix("sha256:")[:12],
            command=command,
        )


def _image(session: Session, fleet: Fleet) -> Image:
    try:
        return observe.image_of(fleet, session.engine())
    except NotFound as error:
        raise ImageMissing(
            "the image {image} does not exist; build it with `manager build`", image=fleet.image_name
        ) from error


def _with_port(spec: InstanceSpec) -> InstanceSpec:
    return spec if spec.web_port is not None else spec.with_port(FIRST_PORT)


def _folder(fleet: Fleet) -> Path:
    """Return where the values lie; ids begin with a letter or digit."""
    return fleet.state_dir / ".swarm"


def _once(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems, each once: those of this machine's configs are found twice."""
    return list({str(problem): problem for problem in problems}.values())
