"""Decide what to do with each instance, and why. Reads what was observed, changes nothing.

plan               specs + containers + desired states → actions with causes: pure
changes            the changing commands as values: pure
left_alone         what is left as it is, and what the user can do about it: pure
moved_away         leaves alone what was moved to another machine: pure
untrusted          keeps a config that is refused from being applied: pure
definition_diff    what a changed config changes, old → new: pure
worse_keys         keeps sound keys from being replaced by keys that can sign nothing
made_anew          recreates what a start would not mend
idle_under_mark    tells what was started under a halt mark, where its supervisor could not write that
updated_limits     asks the engine what `docker update` changed, where its files cannot be read
"""
