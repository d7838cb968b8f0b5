"""Say that a command was ended by Ctrl-C while it was loaded, before it has a way of its own.

Loads nothing at first: it may be loaded with each command.
"""


def interrupted() -> int:
    """Say so, as the command would. Returns the exit code that shells report of it."""
    import signal
    import sys

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the same one again: `timeout` sends it twice
    from manager.i18n import _, use_environment

    use_environment()
    print(_("interrupted"), file=sys.stderr, flush=True)
    return 128 + signal.SIGINT
