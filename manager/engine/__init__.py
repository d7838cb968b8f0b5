"""Everything Docker: the calls, what is sent, and what comes back.

client, http_socket, docker_sdk, streams        the engine: one call a method
endpoint                                        which engine is meant
labels, containers                              the registry of the fleet, on its containers
container_config, compose_file, compose_hash    a spec as the engine and as Compose want it
image_build, build_mirrors, docker_cli          the bot image
port_holder                                     who has a port
"""
