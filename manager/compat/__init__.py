"""The old system's Python API and command line, over the rooms. `manager.*_manager` are the names that callers import.

daemon                                              manager.daemon_manager: `core/daemon_manager.py` and its class
registry                                            manager.instance_manager: InstanceRegistry, InstanceManager
configs, config_copies, config_errors, expansion    manager.config_manager: ConfigManager
"""
