"""Archives: files of documents that were known at other times, as raw records. `read.py` is the way in."""
