"""Export the old system's InstanceManager and InstanceRegistry."""

from manager.compat.registry import InstanceManager, InstanceRegistry

__all__ = ["InstanceManager", "InstanceRegistry"]
