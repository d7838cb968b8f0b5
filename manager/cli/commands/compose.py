"""Run `compose`: render compose.yaml, and create what its containers mount."""

from __future__ import annotations

from argparse import Namespace

from manager.cli.notices import say_problems
from manager.errors import BAD_CONFIG, OK, ConfigError
from manager.fleet import lock
from manager.fleet.observe import FleetSnapshot
from manager.fleet.project import Project
from manager.fleet.session import Session
from manager.i18n import _, labelled
from manager.ops.checks import shared_market
from manager.ops.execution import compose_yaml, desired_state
from manager.ops.folders import bot_user, instance_folders
from manager.util import console


def compose(session: Session, args: Namespace) -> int:
    """Render compose.yaml, and create what its containers mount.

    An instance whose config is invalid keeps the service that it has.
    """
    project = session.project()
    _require_not_blocked(project)
    if args.stdout:
        console.say(compose_yaml.rendered(project), end="")
        return _after_problems(project)
    fleet = project.fleet
    with lock.held(fleet.lock_file, "compose", args.lock_wait, on_wait=console.warning):
        snapshot = session.observe()
        snapshot.require_ours()
        _require_not_blocked(snapshot.project)
        _require_trusted(snapshot)
        _remember_ports(snapshot)
        _prepare(session, snapshot)
        changed = compose_yaml.write(snapshot.project)
    name = fleet.relative(fleet.compose_file)
    console.say(labelled(name, _("written") if changed else _("up to date")))
    return _after_problems(snapshot.project)


def _require_not_blocked(project: Project) -> None:
    if project.blocking_problems:
        raise ConfigError(project.problems)


def _after_problems(project: Project) -> int:
    say_problems(project)
    return BAD_CONFIG if project.problems else OK


def _require_trusted(snapshot: FleetSnapshot) -> None:
    """Raise ConfigError where Compose would create a container from a config that is refused."""
    plan_input, refusals = snapshot.plan_input, snapshot.project.loaded.refusals
    if problems := [
        problem
        for instance in plan_input.untrusted
        if instance not in plan_input.containers or "config" in plan_input.drift(instance)
        for problem in refusals[instance]
    ]:
        raise ConfigError(problems)


def _remember_ports(snapshot: FleetSnapshot) -> None:
    """Save the ports in the file as the instances' own, as `up` does."""
    project = snapshot.project
    ports = {instance: spec.web_port for instance, spec in project.specs.items() if spec.web_port is not None}
    desired_state.save_state(project.fleet, lambda state: state.with_ports(ports))


def _prepare(session: Session, snapshot: FleetSnapshot) -> None:
    """Create folders and env files.

    A running bot keeps its env file: only a restart may change its values.
    """
    project, containers = snapshot.project, snapshot.observed.containers
    held = project.held_back
    user = bot_user.bot_user(project.fleet, project.variables, session.engine().info())
    bot_user.compose_variables(project.fleet, project.variables, user)
    bot_user.save_compose_path(project.fleet)
    tell_of_others = shared_market.tell(snapshot, project.specs)
    for instance, spec in project.specs.items():
        if instance in held:
            continue
        instance_folders.prepare(spec, project.fleet, user.owner)
        tell_of_others(instance)
        is_up = instance in containers and containers[instance].is_up
        if not is_up and instance not in snapshot.plan_input.untrusted:
            instance_folders.write_env(spec, project.fleet, user.owner, snapshot.env_values[instance])
