"""Describe the fleet as it is: configs, containers, supervisors and desired states → one snapshot.

project_folder, project                    where a project is, and all that is read in it
session, selection                         one run of the manager; the chosen instances
listing, reading_ahead                     its containers, as the engine lists them, and files read meanwhile
definition_drift, cgroup_limits            in what a container was made otherwise than its spec says
engine_files, cgroup_folders               what the engine and the kernel keep of a container on this machine
container_folder, mounted_folder           which project folder a container belongs to
observe, snapshot, instance, status        one observation of the fleet, and what follows from it
doing, condition_messages                  what a bot is doing, and how urgent it is
endings, exits                             how bots have ended for good, in their own words
leftovers                                  what a bot has left that does not run: a position, orders
forgotten                                  live bots of which only files are left
preflight_messages                         what a live run would fail by, by codes
bot_report, amounts                        what a bot reports of its trading, and how it is formatted
supervisor_state, env_file                 the files that an instance's container reads and writes
state_reset                                what a user's start clears of them
snoozes                                    what a person has snoozed until a time
env_file_values                            what each env file should have, and whether it has
hidden_lock                                that this user may not look at a lock there
supervisor_messages, supervisor_sentences  supervisors' reasons: by codes, and the sentences of old ones
state_file, upgrade_records                what only the manager knows
bot_options_file, image_variables          which options the user's own bot has, and which variables it reads
import_records                             what was imported from the old system
closed_report, closing_messages            what closing has left in a bot's report, and why it did not close
asking_messages                            why an image's program does not say what orders are open
event_spool                                what commands did, for the history
halt_mark, start_lock, tombstone           what prevents bots from being started; starts in progress
display, causes, list_table, status_json   output for users and programs
instances_json, instances_json_refresh     the export for programs of the old system
lock, host, process_info, time_zone        the host, its processes, and other managers on it
old_daemon, old_daemon_guard               the old system's processes on it
"""
