"""Talk to Docker: calls, what is sent, and what comes back.

client, http_socket, http_logs, docker_sdk,
  streams                                       the engine: one call per method
patience, unreachable                           slow is not gone, and gone has a cause
engine_process                                  whether a silent engine stands still
endpoint                                        the choice of the engine
labels, containers                              the registry of the fleet, on its containers
container_config, compose_file, compose_hash    a spec in the formats of the engine and of Compose
swarm_stack, swarm_calls                        a stack for a Docker Swarm, and its services and nodes
compose_name                                    whose compose.yaml it is
image_build, build_mirrors, docker_cli          the bot image
bot_variables, environment_reads                which variables a bot of the user's own reads
egress_rules                                    what the firewall lets bots reach: pure
firewall_order                                  what lets traffic pass before those are asked: pure
fleet_network                                   the network of a fleet: found, created, removed
port_holder                                     the process that uses a port
"""
