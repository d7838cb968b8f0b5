"""Declare the reasons that the supervisor gives: a code with parameters, and one English sentence for each
code.

Readers translate the code. The sentence is for log files and for managers that know no codes.
"""

SENTENCES = {
    # how a run of the bot ended
    "exit_code": "exit code {code}",
    "signal": "{signal}",
    "out_of_memory": "{signal} (out of memory)",
    "killed": "had to be killed",
    "container_ended": "ended with its container",
    "unhealthy": "unhealthy: {count} probes failed ({cause})",
    # what follows from it
    "auto_restart_off": "{cause} (auto_restart is off)",
    "restarts_exhausted": "{cause} (given up after {count} restarts in a row)",
    "never_completes": "{cause}, but this bot is meant never to end",
    "no_duration": "{cause}, but this bot has no duration after which it may end",
    "before_duration": "{cause} after {seconds:.0f} s, before its duration of {duration:.0f} s",
    "no_report": "{cause} (no report)",
    # why a bot could not be started
    "cannot_start": "cannot start the bot: {error} ({path})",
    "file_unreadable": "cannot read {path}: {error}",
    "file_not_json": "cannot read {path}: it is not JSON",
    "file_not_json_at": "cannot read {path}: it is not JSON at line {line}",
    "file_not_object": "cannot read {path}: it is not a JSON object",
    "variable_name_invalid": "cannot use {path}: {name!r} is no variable name",
    "variable_value_invalid": "cannot use {path}: {name!r} must be a string that an environment can hold",
    "web_port_missing": "WEB_PORT is not set",
    "web_port_invalid": "WEB_PORT: must be 1-65535, not {value!r}",
    # why the orders are not cancelled yet
    "cannot_start_cancel": "cannot start the cancel program: {error} ({path})",
    "no_result": "it has not reported how many orders are left",
    "orders_left": "{count} orders are left",
    # what a probe of /health met
    "no_answer": "no answer within {seconds:g} s",
    "no_http": "no HTTP answer",
    "connection_closed": "connection closed without an answer",
    "connection_failed": "{error}",
    "http_status": "{status} {detail}",
    "degraded": "degraded: {condition}",
    # why the bot is not started yet
    "waiting_turn": "waiting its turn",
    # why there is nothing to run
    "halted": "halted",
    "instance_missing": "BOTFLEET_INSTANCE is not set: this image is started by the manager or its"
    " compose.yaml",
    "setting_not_choice": "{name}: must be one of {choices}, not {value!r}",
    "setting_not_number": "{name}: must be a number from {low:g} to {high:g}, not {value!r}",
    "setting_not_positive": "{name}: must be a number above 0, to {high:g}, not {value!r}",
    "setting_not_whole": "{name}: must be a whole number from {low} to {high}, not {value!r}",
    "setting_not_exit_codes": "{name}: must be exit codes from 0 to 255, comma-separated, not {value!r}",
    "setting_not_path": "{name}: must be a path such as /health, not {value!r}",
    "locked": "{path} is held by another supervisor: no second bot is started here",
    "locked_by": "{path} is held by another supervisor, of container {container}: no second bot is started"
    " here",
    "cannot_lock": "cannot lock {path}: {error}",
}
"""Every code with its sentence.

Its placeholders are the code's parameters; `cause` is a reason of its own.
"""

_SINGULAR = {
    "restarts_exhausted": "{cause} (given up after 1 restart in a row)",
    "orders_left": "1 order is left",
}
"""The sentences of codes whose `count` is 1."""


class Reason:
    """Hold a code of `SENTENCES` and its parameters; a parameter may be a reason itself."""

    def __init__(self, code: str, /, **params: "str | float | Reason") -> None:
        self.code = code
        self.params = params

    def __str__(self) -> str:
        """Return the English sentence."""
        sentence = SENTENCES[self.code]
        if self.params.get("count") == 1:
            sentence = _SINGULAR.get(self.code, sentence)
        return sentence.format(**self.params).strip()

    def as_json(self) -> dict[str, object]:
        """Return the form that is written into supervisor.json."""
        return {
            "code": self.code,
            "params": {
                name: value.as_json() if isinstance(value, Reason) else value
                for name, value in self.params.items()
            },
        }


class ReasonError(ValueError):
    """Signal a fault that becomes the reason of a state."""

    def __init__(self, code: str, /, **params: "str | float | Reason") -> None:
        self.reason = Reason(code, **params)
        super().__init__(str(self.reason))
