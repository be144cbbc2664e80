"""The outside world in: feeds, archives, the demo archive."""
