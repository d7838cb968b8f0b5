"""Durations that are not settings. All in seconds."""


class Timings:
    """In one place so that a test can shorten them; each default has a reason."""

    start_phase = 30.0  # a bot that loads its markets answers after up to 20 s
    quick_probe = 0.5  # `up --wait` feels immediate, and 60 loopback connects cost nothing
    probe_timeout = 5.0  # a bot busy with a slow exchange still answers within this
    drain = 1.0  # for the pipes of an ended bot to reach their end; what they hold is never lost
    final_flush = 2.0  # with `drain` well within the 5 s that the container has beyond the bot's stop timeout
    reader_patience = (
        10.0  # an engine at work takes a line within a second; one that is away takes none at all
    )
    lock_grace = 3.0  # a container that is being killed lets go of the lock this much later
    lock_retry = 10.0  # when the lock file cannot be made: full disk, foreign owner
    healthy_spell_min = 60.0  # a bot that was well this long, or 5 restart delays, has its budget back
    verdict_margin = 10.0  # on top of three probe intervals: a probe that times out, a busy machine

    def __init__(self, **changes: float) -> None:
        for name, seconds in changes.items():
            if not hasattr(self, name):
                raise TypeError(f"no such duration: {name}")
            setattr(self, name, seconds)
