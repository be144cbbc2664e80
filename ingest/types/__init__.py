"""How each kind of source is read: one file for each, found by its name in `table.py`; `base.py` says what a type is."""
