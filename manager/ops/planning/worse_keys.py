"""Keep a live bot with sound keys from being made anew with keys that can sign nothing: it would end at once.

One that has none yet is made all the same, with a warning: it says itself what it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from manager.config import key_forms
from manager.errors import Problem
from manager.fleet import env_file
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text


def seen(snapshot: FleetSnapshot, unusable: Mapping[str, Sequence[Problem]]) -> FleetSnapshot:
    """Return the snapshot in which these stay as they were made. `unusable`: by instance, what is wrong."""
    plan_input = snapshot.plan_input
    worse = {
        instance: Text("{problem}", problem=problems[0])
        for instance, problems in unusable.items()
        if instance in plan_input.containers and _has_sound_keys(snapshot, instance)
    }
    if not worse:
        return snapshot
    return snapshot._replace(plan_input=plan_input._replace(untrusted={**plan_input.untrusted, **worse}))


def _has_sound_keys(snapshot: FleetSnapshot, instance: str) -> bool:
    fleet = snapshot.project.fleet
    given = env_file.read(fleet.secrets_dir(instance) / env_file.ENV_FILE)
    return given is not None and not any(key_forms.faults(snapshot.project.specs[instance], given))
