"""Read what the bots print, from the engine's log and from the dated files, as lines of one instance.

source, join          the lines of one instance, from both
all_there             that there is nothing more in the dated files
files, content        the dated files as one text, and their segments
bots_zone             the bots' local times, for a reader in another time zone
time_order            those of several instances, by time
meaning               the level of a line, and the fill that it tells of
lines, pattern        a line, and which ones are shown
printing              lines for a terminal, a pipe or a program
"""
