"""Refuse what may not start, before anything is changed.

preflight           valid configs, and no shared accounts
start_checks        live bots beyond a limit, or on an account that is traded on elsewhere
account_check       asks the other machines about an account
moved_account       the account of what was moved to a machine that does not tell: pure
shared_market       bots on one account and market that no `watch` tells of each other
generation_check    an older copy of what was moved: pure
old_daemon_check    what a daemon of the old system still runs
build_probe         a bot of the user's own, tried in its new image
"""
