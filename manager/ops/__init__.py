"""Change a fleet: plans as data, then effects.

action, changes, plan, rollout_plan             what to do, and why: pure
left_alone                                      what is left as it is, and why: pure
request_budget                                  what bots ask of their exchanges, and what they may: pure
request_plan, request_files                     holds a command's plan to it, and tells each bot its share
made_anew                                       recreates what a start would not mend
egress, egress_record, egress_limiter           the firewall rules that limit what bots reach
start_checks, account_check, generation_check   what may not start: beyond limits, an account in use there,
                                                an older copy of what was moved
untrusted                                       keeps a config that is refused from being applied: pure
definition_diff                                 what a changed config changes, old → new
apply                                           runs one changing command, from snapshot to result
command_marks                                   the halt marks that such a command sets and lifts
events, result                                  its progress events, and its result
prepare, preflight, desired_state               what is created, checked and recorded before any action
execute, stop, stop_turns, wait                 carry actions out, spread stops, and wait for instances
rollout, rollback, rollback_store               an upgrade, and undoing it
rollout_order                                   in which batches, or why it cannot begin
rollout_events, rollout_result                  its progress events, and its result
live_checks                                     what live instances would fail by, asked at their exchanges
halt, open_orders, stop_for_good                the kill switch, and what `stop` and `down` share with it
halt_events, halt_result                        its progress events, and its result
close, account_parts                            close positions, and what others of one account hold
others_file                                     tells a bot what the others on its account hold
bot_files                                       puts such files where a bot reads them
oneoff                                          runs a program of an image once
instance_folders, bot_user                      what a container mounts, and who owns it
mount_probe                                     tries each disk once: can a container write there
compose_yaml                                    the rendered compose.yaml, and what stays of an earlier one
build_probe                                     tries a bot of the user's own before its image is used
backup/, migrate/                               backup and restore; import from the old system
hosts/, move/                                   other machines, by OpenSSH; moves an instance to one
moved_away                                      leaves alone what was moved to another machine: pure
"""
