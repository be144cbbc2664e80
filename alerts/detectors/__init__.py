"""Count and share tests against a seasonal baseline."""
