"""Read the files of config/ into a `Fleet` and `InstanceSpec`s: the desired configuration, without an engine.

models, loader, validation_messages, flat_format    one config: its rules, its problems, its old flat form
fleet_tables, fleet_settings, fleet                 config/fleet.toml: its keys and checks, and every path
exchanges                                           the exchanges of the bundled bot
markets                                             which spellings of a symbol are one market
request_limits                                      what each exchange allows, from the table of the bot
dotenv, variables, bot_environment                  `.env`, `${NAME}`, and the variables that a bot receives
credential_values, key_forms, account_names         what cannot be a credential; a second account's names
handover, steering                                  what a config may give to its bot
bundled_reads                                       which of that the bundled bot reads, and is given
reach                                               which variables and keys reach a bot, and which none
verification                                        which exchanges no live bot may trade on unasked
signing_libraries                                   which live bots lack what signs their orders
spec, bot_argv, bot_options                         what determines a container, and what a bot's help names
loaded, cache, settings_cache                       the loaded configs and the settings, between commands
container_paths                                     where an instance's folders are in its container
bot_refusals, bot_words                             for what the bundled bot would end at once
templates, dotted_keys, json_schema                 new configs, and the schema for editors
"""
