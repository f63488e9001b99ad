"""How a network behaves over time, whatever its task: saturated gates, time constants, fixed points."""
