"""Accounts, what the board keeps for each reader, and the audit log.

Existing data: untouched; the new tables are empty, so a board that listens on this machine alone stays as it was.
"""

from alembic import op

from groundswell.store import schema as t

revision = "0010"
down_revision = "0007"

_STAYS = "CREATE TRIGGER audit_{verb}_refused BEFORE {verb} ON audit BEGIN SELECT RAISE(ABORT, 'audit: rows are only ever added'); END"
_HIDE = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'groundswell_board') THEN
        REVOKE ALL ON people, audit FROM groundswell_board;
    END IF;
END $$
"""


def upgrade() -> None:
    """Create the tables. PostgreSQL guards them by roles; SQLite, which has none, keeps the log's rows by triggers."""
    connection = op.get_bind()
    t.metadata.create_all(connection, tables=[t.people, t.readers, t.audit])
    if connection.dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(_STAYS.format(verb=verb))
    else:
        op.execute(_HIDE)  # new tables are readable by the board's role, and with it by every other part
