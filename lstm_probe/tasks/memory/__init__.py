"""Tasks that ask to remember what was."""
