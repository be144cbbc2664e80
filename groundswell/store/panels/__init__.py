"""What the panels of the board show: one file for each, read for the page, its JSON twin and its CSV alike."""
