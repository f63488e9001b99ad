"""Tables in, sentences out."""
