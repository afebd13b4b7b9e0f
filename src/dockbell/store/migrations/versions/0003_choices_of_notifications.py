"""What a notification chooses: the form of its payload, and how it is signed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The defaults are what every notification did before it could choose.
    for name, default in (("payload_form", "quay"), ("signatures", "v1")):
        op.add_column(
            "notifications",
            sa.Column(name, sa.String(), nullable=False, server_default=default),
        )
    op.add_column(
        "signing_secrets", sa.Column("kind", sa.String(), nullable=False, server_default="hmac")
    )
    op.add_column("signing_secrets", sa.Column("public", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    for table, name in (
        ("signing_secrets", "public"),
        ("signing_secrets", "kind"),
        ("notifications", "signatures"),
        ("notifications", "payload_form"),
    ):
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column(name)
