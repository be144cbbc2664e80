"""Drop marks: which drops were replayed, and which lost their bytes. Existing data: kept; no drop is marked."""

from alembic import op

from groundswell.store import schema as t

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the new table."""
    t.metadata.create_all(op.get_bind(), tables=[t.drop_marks])
