"""The tables of runs and of their scores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("machine", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("task", sa.String()),
        sa.Column("base", sa.String()),
        sa.Column("method", sa.String()),
        sa.Column("data", sa.String()),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("seed", sa.BigInteger()),
        sa.Column("num_train_rows", sa.BigInteger()),
        sa.Column("split", sa.String()),
        sa.Column("metric", sa.String()),
        sa.Column("verdict", sa.String()),
        sa.Column("ship", sa.String()),
        sa.Column("recipe_hash", sa.String()),
        sa.Column("whet", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("machine", "folder", name="uq_runs_machine_folder"),
    )
    op.create_index("ix_runs_started_at", "runs", ["started_at"])
    op.create_table(
        "scores",
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("split", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("low", sa.Float()),
        sa.Column("high", sa.Float()),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_scores_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "split", "model", "metric", name="pk_scores"),
    )


def downgrade() -> None:
    """Drop both; the run folders keep everything."""
    op.drop_table("scores")
    op.drop_index("ix_runs_started_at", table_name="runs")
    op.drop_table("runs")
