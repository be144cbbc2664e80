"""The way of the data: pure operators, one pipeline, three shells."""
