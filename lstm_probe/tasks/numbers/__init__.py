"""Tasks that ask to count and reckon."""
