"""Change a fleet: plans as data, then effects.

apply        runs one changing command, from snapshot to result
planned_change  its plan, and what that was decided from
actions/     actions, outcomes, events and results, as data
planning/    what to do with each instance, and why
checks/      what may not start
execution/   prepares, carries actions out, waits
halt/        the kill switch, and what `stop` and `down` share with it
rollout/     an upgrade in batches, and undoing it
exchange/    asks and acts at the exchange for bots that are down
requests/    the exchanges' request limits
egress/      the firewall rules that limit what bots reach
folders/     what a container mounts, and who owns it
backup/      backup and restore
migrate/     import from the old system
hosts/       other machines, by OpenSSH
swarm/       instances as services of a Docker Swarm
move/        moves an instance to one
"""
