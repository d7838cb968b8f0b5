"""Run `manager watch`: keep the export current, recover bots after an engine crash, and send alerts.

loop, observer, change_detector      when the fleet is observed, and what follows
unchanged                            what a look without a change still renews
shared_look                          the last look, for the page of the same process
concerned                            which instances are looked at each second
others_work                          which bots another manager may have taken down for a moment
updates                              what somebody has changed by `docker update`
engine_recovery                      which bots are started again after an engine crash
kinds, alert_rules, machine_rules    the kinds of alerts, and what is wrong at one moment
history, clock_jumps                 what a single snapshot cannot tell, and by how much the clock was set
alert_state, alert_cases, snoozing   which conditions cause an alert now, and again when they become others
messages, daily_report               the texts
notifier, store                      groups alerts; what a restarted `watch` continues from
addresses, deliver, send             where messages go, and how
heartbeat                            the ping that tells another machine that this one lives
bot_poller                           what bots report, and whether they still log
disk_guard, deleted_files            the disk, and who fills it
loss_limits, loss_halts              the daily loss limits, and the halt when one is exceeded
position_keeper, request_keeper      what bots are told of others on their account and at their exchange
egress_keeper                        the firewall rules stay in force
twin_keeper                          two of one instance, or on one account, on two machines
service                              the systemd unit
"""
