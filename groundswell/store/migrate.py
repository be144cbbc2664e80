"""Bring a store's schema up to date. Alembic is imported here only; a store that is current never pays for it."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

LOCK: Final = 7_206_815_391
"""PostgreSQL's advisory lock for migrations: workers that are started together meet here, and one of them does the work."""


def upgrade(engine: Engine, to: str = "head") -> None:
    """Run every migration that the store lacks, up to one, all in one transaction; callers at the same time wait for the first."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.connect().execution_options(groundswell_write=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, to)
