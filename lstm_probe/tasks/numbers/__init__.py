"""Tasks that need counting and arithmetic."""
