"""How many people of a crowd said the same."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Answers of before were each said by one."""
    op.add_column("answers", sa.Column("people", sa.Integer, nullable=False, server_default="1"))
