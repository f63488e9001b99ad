"""How a network behaves over time, whatever its task: saturated gates, the dimension of what it holds, fixed points."""
