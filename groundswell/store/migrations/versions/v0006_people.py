"""What people do and say: actions, verdicts, corrections, misses. Existing data: kept; nothing was said before."""

from alembic import op

from groundswell.store import schema as t

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the new tables."""
    t.metadata.create_all(op.get_bind(), tables=[t.actions, t.verdicts, t.corrections, t.misses])
