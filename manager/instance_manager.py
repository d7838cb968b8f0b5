"""The old system's Python API: `from manager.instance_manager import InstanceManager, InstanceRegistry`."""

from manager.compat.registry import InstanceManager, InstanceRegistry

__all__ = ["InstanceManager", "InstanceRegistry"]
