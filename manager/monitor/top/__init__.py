"""Show the fleet full-screen. Only `manager top` loads it: Textual takes 0.3 s.

app, screens                    the application, and the screens over the table
refresher, snapshots, source    observe the fleet in a thread
table, sparkline                draw rows and their trends
sorting                         which rows, in which order, and where the cursor is
commands, confirm               what a key does to an instance, and what is asked before
"""
