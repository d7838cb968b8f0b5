"""The command line: arguments → one function of commands/ → an exit code.

main                                where it begins, and the only place that catches errors
command_table, parsers              every command with its options, and the parsers made of it
argument_types, argparse_i18n       values of options; argparse's own words
completion                          what a shell offers at a TAB
carry_out, report                   a changing command, and what it says
confirm                             asks before a whole fleet with live bots is stopped
notices                             what commands say besides what they show or do
commands/                           the commands
"""


def entry_point() -> None:
    """The `manager` script. Scripts that are installed already name it here; only its call loads anything."""
    from manager.cli.main import entry_point as main

    main()
