"""The files of config/ → `Fleet` and `InstanceSpec`: what should be. Knows Docker's limits and no engine.

models, loader, validation_messages, flat_format    one config: its rules, its problems, its old form
fleet_settings, fleet                               config/fleet.toml, and where everything lies
variables, bot_environment                          `.env`, `${NAME}`, and what a bot gets of it
spec, bot_argv                                      what decides a container
loaded, cache                                       what was read, and kept from last time
templates, dotted_keys, json_schema                 new configs, and rules for editors
"""
