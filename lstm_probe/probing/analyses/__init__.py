"""The analyses, each a plain function: a recording and signals in, a tidy table out."""
