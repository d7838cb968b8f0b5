"""The fleet as it is: configs, containers, supervisors and the user's wishes → one snapshot. Changes only its own records.

project, session, selection                         the project folder; one run of the manager; which instances it means
observe, snapshot, instance, status                 one look at all of it, and what follows from it
doing, condition_messages                           the second word: what a bot is doing, and how urgent it is
bot_report, amounts                                 what a bot reports of its trading, and how it is written
supervisor_state, env_file                          the files that an instance's container reads and writes
supervisor_messages, supervisor_sentences           what supervisors say: by codes, and the sentences of old ones
state_file, upgrade_records, import_records         what only the manager knows
event_spool                                         what commands did, for the history
halt_mark, start_lock                               what keeps bots from being started, and who is starting some
display, status_json                                what is shown
instances_json, instances_json_refresh              what is exported for programs of the old system
lock, host, old_daemon, old_daemon_guard            the machine, and who else works on it
"""
