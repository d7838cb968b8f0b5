"""Provide the old system's Python API and command line. Callers import `manager.*_manager`.

daemon                          manager.daemon_manager: `core/daemon_manager.py` and its class
registry                        manager.instance_manager: InstanceRegistry, InstanceManager
configs                         manager.config_manager: ConfigManager
config_copies, config_errors    its copies and errors
expansion                       `${…}` the way the old API treats it
"""
