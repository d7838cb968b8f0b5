"""Whatever changes a fleet: plans as data, then effects.

action, changes, plan, rollout_plan             what to do, and why: pure
definition_diff                                 what a changed config changes, old → new
apply                                           one changing command from the look to its result
events, result                                  what it tells while it is under way, and what it comes to
prepare, preflight, desired_state               what must be there, be sound, be written before it is done
execute, stop, wait                             doing it, and waiting for it
rollout, rollback, rollback_store               an upgrade and its way back
halt, open_orders, stop_for_good                the kill switch, and what a stop shares with it
instance_folders, bot_user                      what a container mounts, and whose it is
backup/, migrate/                               copies of everything; from the old system's folder
"""
