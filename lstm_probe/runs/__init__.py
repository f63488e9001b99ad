"""The run store, and what is measured on a run."""
