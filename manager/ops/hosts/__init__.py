"""Reach the trader's other machines, each with a manager of its own, by OpenSSH.

registry     config/hosts.toml: their names and addresses
ssh          one command on one of them, by OpenSSH's own client
check        what a host needs before it is added
everywhere   one command on all of them at once; one that does not answer delays no other
in_background  what runs on each, asked again and again while others are waited for
last_seen    what each host showed last, for when it does not answer
accounts     which accounts live instances trade on, as fingerprints
package      this manager as a wheel, for another machine
deploy       brings it and the fleet's image there
returning    which live bots are down, and start again without being asked for
identity     tells this machine from others of the same name
generations  which generation of a moved instance each machine has, and older copies that trade
shared_accounts  live bots of different machines that trade on one account
versions     tells that another machine's manager has another version, and what to do
account_looks  asks the other machines for them, and remembers the answers
"""
