"""Find how bots have ended for good, and for one that ended by itself what it says of that."""

import time
from collections.abc import Mapping

from manager.config.fleet import Fleet
from manager.engine.containers import Container
from manager.fleet import status
from manager.fleet.status import Status
from manager.fleet.supervisor_state import SupervisorState
from manager.i18n import Text


def find(
    fleet: Fleet, containers: Mapping[str, Container], supervisors: Mapping[str, SupervisorState | None]
) -> dict[str, Status]:
    """Return instance → its end, whether its container is up or not.

    A bot that has hit its stop loss ends with 0, too: its last report tells it from one that is finished.
    """
    return {
        instance: ended._replace(why=_in_words(fleet, instance, ended))
        if ended.state == "completed"
        else ended
        for instance, ended in status.all_ended(containers, supervisors).items()
    }


def _in_words(fleet: Fleet, instance: str, ended: Status) -> Text | None:
    from manager.fleet import doing  # with decimal, which a fleet that runs does without
    from manager.fleet.bot_report import read_kept

    last = doing.last(read_kept(fleet.instance_state_dir(instance)), must_say=True)
    why = last.message(time.time()) or ended.why
    words = Text(doing.DOING_WORDS[last.doing or "unknown"])
    return words if why is None else Text("{doing}: {why}", doing=words, why=why)
