"""Parse the command line: arguments → one function in commands/ → an exit code.

main                                the entry point, and the only place that catches errors
command_table, fleet_commands,
  upkeep_commands, host_commands, command_options  all commands with their options
parsers                             the parsers built from them
plain_line                          the usual lines, read without them
argument_types, argparse_i18n       types of option values; translation of argparse's texts
completion                          candidates for shell completion
standby, standby_side               short commands by a process that has them loaded
code_bundle, late_expressions       their modules from one file, where there is no such process; what the
                                      interpreter makes of their regular expressions with them
carry_out, report, left_behind      run a changing command, and print its progress and result
ending                              how a change ends when somebody ends it, by Ctrl-C or SIGTERM
without_site                        the part of Python's start that a short command seldom needs
interrupted_early                   what is said of Ctrl-C while a command is loaded
halt_signals, halt_interrupted      what a halt that was interrupted has halted, and what not
multiplexed_logs                    lines of several instances, or as they arrive, in order
elsewhere, host_answers, following  a command on another machine, or on all of them; all machines' logs
shown_again                         one that only reads, once more if its connection was lost
in_swarm                            a command on the services of a Docker Swarm
confirm                             confirmation before a fleet with live bots is stopped
notices                             warnings that several commands print
closing_table                       the table that ends an import: what each bot gets
engine_side                         the process of `manager serve` that watches and acts
commands/                           the commands
"""

OBJECTS_BEFORE_COLLECTION = 50_000
"""Collecting garbage while modules are loaded finds none, and costs each command 4 ms."""

STARTS_WITHOUT_SITE = True
"""By this the script knows that it need not have `site` run: code of 0.31.0 and before does not."""


def entry_point() -> None:
    """Run the `manager` script.

    Installed scripts name this function; nothing is imported before it is called.
    """
    try:
        _start()
    except KeyboardInterrupt:  # while it is loaded: later the command has its own way
        import os

        from manager.cli.interrupted_early import interrupted

        os._exit(interrupted())


def _start() -> None:
    import gc
    import posix  # `os` takes as long to load as the standby to answer
    import sys

    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    if "halt" in sys.argv:
        from manager.cli import halt_signals

        halt_signals.take()
    from manager.cli import standby

    code = standby.run(sys.argv[1:])
    if code is not None:
        posix._exit(code)
    if sys.argv[1:2] and sys.argv[1] in standby.OPTIONS_OF:
        from manager.cli import code_bundle

        code_bundle.use(sys.argv[1])
    if sys.flags.no_site:
        from manager.cli import without_site

        without_site.make_up_for_it(is_urgent=not standby.is_known(sys.argv[1:]))
    _load_pathlib()
    from manager.cli.main import entry_point as main

    main()


def _load_pathlib() -> None:
    """Load pathlib without urllib.parse and ipaddress, which Python 3.11's needs for `as_uri` alone."""
    import sys
    from types import ModuleType

    name = "urllib.parse"
    if name in sys.modules:
        return
    sys.modules[name] = stand_in = ModuleType(name)
    stand_in.quote_from_bytes = _quoted  # type: ignore[attr-defined]
    try:
        import pathlib  # noqa: F401
    finally:
        del sys.modules[name]


def _quoted(path: bytes) -> str:
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(path)
