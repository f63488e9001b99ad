"""Parts of `scripts/fuzz.py`: whole files of every format, how they are damaged, and what reading them must give."""
