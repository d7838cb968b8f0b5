"""Back up a fleet into one file per run, which can be restored on a new machine.

make, restore                  the two operations
verify, rehearse, retention    check backups, restore them for a trial, remove old ones
archive, manifest              the file format
scan                           find what is to be saved
databases, copier              consistent copies of databases, in a process without rights
swap, instance_locks           replace a folder atomically, while nothing uses it
"""
