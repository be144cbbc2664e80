"""Taxonomy, entity catalogue, linear models and the scorer."""
