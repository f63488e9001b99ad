"""The entries of the list of analyses, by the command that makes them."""
