"""Reports of vulnerability scanners."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None
works_with = "0017"


def upgrade() -> None:
    for name, key, kept, when in (
        ("scans", ("digest", "scanner"), "findings", "reported_at"),
        ("scanned_tags", ("tag", "platform", "scanner"), "known", "updated_at"),
    ):
        op.create_table(
            name,
            sa.Column("repository_id", sa.String(), nullable=False),
            *(sa.Column(column, sa.String(), nullable=False) for column in key),
            sa.Column(kept, sa.LargeBinary(), nullable=False),
            sa.Column(when, sa.BigInteger(), nullable=False),
            sa.ForeignKeyConstraint(
                ["repository_id"],
                ["repositories.id"],
                name=op.f(f"fk_{name}_repository_id"),
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint("repository_id", *key, name=op.f(f"pk_{name}")),
        )


def downgrade() -> None:
    for name in ("scanned_tags", "scans"):
        op.drop_table(name)
