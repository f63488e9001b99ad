"""Tasks that need a memory of what was seen."""
