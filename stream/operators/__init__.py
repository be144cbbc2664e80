"""Pure operators: no I/O, no clock, no framework."""
