"""Limit what bots reach: `[container] egress`.

egress            the firewall rules: in force, looked at, removed
egress_record     remembers which rules a fleet has
egress_limiter    settles them in a command, or decides that it cannot go on
"""
