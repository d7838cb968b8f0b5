"""Import a folder of the old system.

config_files  which files are its configs
inspect       what is in the folder, and in the fleet already
conflicts     what they would share with each other: pure
plan          the actions, each with its cause: pure
execute       carry them out
copies, stop  copy databases and logs; stop the old daemon
closing       what each bot will get, and what not
last_price    the last price that the old files know
"""
