"""Rehearsals of rules that were asked for on the board, and tokens of programs.

Existing data: untouched; the new tables are empty.
"""

from alembic import op

from groundswell.store import schema as t

revision = "0013"
down_revision = "0012"

_HIDE = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'groundswell_board') THEN
        REVOKE ALL ON tokens FROM groundswell_board;
    END IF;
END $$
"""


def upgrade() -> None:
    """Create the tables; what is kept of a token is no business of a part without people."""
    connection = op.get_bind()
    t.metadata.create_all(connection, tables=[t.rehearsals, t.tokens])
    if connection.dialect.name == "postgresql":
        op.execute(_HIDE)
