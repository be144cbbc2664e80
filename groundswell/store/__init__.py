"""One schema on SQLite and PostgreSQL, and what is asked of it."""
