"""Watch, observe for the page, and start commands: the side that has the engine's socket.

process                    what runs in it: watch's loop, the listener
listener                   the Unix socket: who may connect, and one thread for each connection
verbs                      the closed list of what may be asked, and the check of every parameter
backend                    what the verbs need, together
actions                    the commands that carry out what a person asks, in child processes
observer, figures          threads that observe the fleet and its history while the page is read
answers, curves            an observation and a history as JSON; with realized, marks, exposure and sums
since_read                 what was earned since the history was read
kept                       answers that are the same in every look
config_changes             what a restart would change
machines                   what runs on the trader's other machines
log_tails                  what the bots print, as they print it
bot_pages                  connections to the bots' own pages, by id
exposition                 the last look as metrics, for Prometheus
feed                       what has changed since the last observation, for the events
"""
