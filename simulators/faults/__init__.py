"""What goes wrong: each kind with its own physics, and the engine that applies a scenario's."""

from simulators.faults.engine import FaultEngine

__all__ = ["FaultEngine"]
