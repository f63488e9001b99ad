"""How many units: what several runs say together."""
