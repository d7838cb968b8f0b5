"""Run a fleet's instances as services of a Docker Swarm, each pinned to the node that has its data.

state     what the services do, from the Swarm's answers: pure
refusals  what Swarm cannot do safely: pure
scripts   run on a node, here or over ssh
places    makes the folders on the nodes, and tells which node is which machine
stack     renders the stack file, with the values for its secrets beside it
checks    what makes two bots, a lost halt or an open port more likely: pure
privileges  asks each node whether the processes of its tasks can gain privileges
last_seen  what the Swarm told last, for when this machine's engine is gone
changes   halt, up and down
"""
