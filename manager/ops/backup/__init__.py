"""Back up a fleet into one file per run, which can be restored on a new machine.

make, restore                  the two operations
verify, retention              check backups, remove old ones
archive, manifest              the file format
databases, copier              consistent copies of databases, in a process without rights
swap, instance_locks           replace a folder atomically, while nothing uses it
"""
