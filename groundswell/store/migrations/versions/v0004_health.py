"""When sources were blind, and canaries. Existing data: kept; blindness that ended before is not written down."""

from alembic import op

from groundswell.store import schema as t

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the new tables."""
    t.metadata.create_all(op.get_bind(), tables=[t.blind_spans, t.canaries])
