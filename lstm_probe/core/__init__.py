"""What every room needs: words, errors, signals, seeds, files."""
