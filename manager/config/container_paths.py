"""Name the places of an instance's folders in its container."""

LOGS_AT = "/app/logs"
DATA_AT = "/data"
STATE_AT = "/botfleet/state"
SECRETS_AT = "/botfleet/secrets"
TMPFS = ("/tmp", "/run/botfleet")
