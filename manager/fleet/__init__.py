"""The fleet as it is: configs, containers, supervisors and the user's wishes → one snapshot. Changes only its own records.

project, session                                the project folder; one run of the manager
observe, snapshot, instance, status             one look at all of it, and what follows from it
supervisor_state, supervisor_messages           what the supervisors write
state_file, upgrade_records, import_records     what only the manager knows
display, instances_json, instances_json_refresh what is shown, and exported
lock, host, old_daemon, old_daemon_guard        the machine, and who else works on it
"""
