"""Declare durations that are not settings, in seconds."""


class Timings:
    """Hold the durations in one place, so that tests can shorten them."""

    start_phase = 30.0  # loading the markets takes a bot up to 20 s
    first_answer = 180.0  # a bot that loads its data and its markets before it listens
    start_limit = 900.0  # a bot that says that it is starting: a busy machine, an exchange slow with markets
    quick_probe = 0.5  # `up --wait` returns promptly, and 60 loopback connects cost little
    probe_timeout = 5.0  # a bot busy with a slow exchange still answers within this
    drain = 1.0  # until the pipes of an ended bot are closed; their content is read in any case
    final_flush = 2.0  # with `drain` well within the 5 s that the container has beyond the bot's stop timeout
    reader_timeout = 10.0  # a running engine reads a line within a second; a stopped one reads nothing
    lock_grace = 3.0  # a container that is being killed releases the lock within this time
    lock_retry = 10.0  # when the lock file cannot be created: full disk, another owner
    outage_restarts = 128  # free ones without an answer: with the pauses above more than a day and a half
    outage_delay_min = 1.0  # doubled, it is at `restart_delay_max` after ten of them
    restart_delay_max = 900.0  # an exchange that is back after hours is traded on a quarter of an hour later
    healthy_spell_min = (
        60.0  # after this long, or 5 restart delays, a healthy bot has its restart budget back
    )
    cancel_timeout = 120.0  # 200 orders, one by one, at an exchange that answers slowly
    cancel_retry = 5.0
    cancel_retry_max = 300.0  # an outage must not become a flood of requests when it ends
    verdict_margin = 10.0  # on top of three probe intervals: a probe that times out, a busy machine

    def __init__(self, **changes: float) -> None:
        for name, seconds in changes.items():
            if not hasattr(self, name):
                raise TypeError(f"no such duration: {name}")
            setattr(self, name, seconds)
