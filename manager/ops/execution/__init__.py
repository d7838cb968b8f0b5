"""Carry a plan out.

prepare                    the image, the network, the bots' user, Compose's hashes
desired_state              records a command in the fleet's state
outcome_notes              notes what was done, for the history and for `resume`
execute                    carries actions out in parallel, and collects every failure
context                    what that works with
limits                     puts back what `docker update` has changed
ports, port_choice         whether a web port is free, and who has it if not; another one
take_down                  stops and removes, and learns first what is left at the exchange
stop, stop_turns, wait     stops one container, spreads stops, waits for instances
rollback_store             keeps what is needed to restore an old container
compose_notices            where `docker compose` would act otherwise
orphan_notices             bots without a config that a `down` leaves running
compose_yaml               the rendered compose.yaml, and what stays of an earlier one
"""
