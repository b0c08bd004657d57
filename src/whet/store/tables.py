"""The tables of the index.

Written with SQLAlchemy Core: the index is a listing, and the object mapper would add a third to
the time that ``whet runs`` takes to start.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Float,
    ForeignKey,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("folder", String, nullable=False),  # absolute, links followed
    Column("machine", String, nullable=False),  # a path means something on one machine only
    Column("name", String, nullable=False),
    Column("state", String, nullable=False),
    Column("task", String),
    Column("base", String),
    Column("method", String),
    Column("data", String),
    Column("started_at", DateTime(timezone=True), index=True),  # UTC
    Column("finished_at", DateTime(timezone=True)),  # UTC
    Column("seed", BigInteger),
    Column("num_train_rows", BigInteger),
    Column("split", String),  # the split that the verdict speaks of
    Column("metric", String),  # the primary metric
    Column("verdict", String),
    Column("ship", String),  # the model to ship
    Column("recipe_hash", String),  # SHA-256 of recipe.yaml
    Column("whet", String),  # the version that wrote the folder
    UniqueConstraint("machine", "folder"),
)

scores = Table(
    "scores",
    metadata,
    Column("run", String, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("split", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("metric", String, primary_key=True),
    Column("value", Float, nullable=False),
    Column("low", Float),
    Column("high", Float),
)

replies = Table(
    "replies",
    metadata,
    Column("hash", String, primary_key=True),  # SHA-256 of what was asked, of whom and how
    Column("text", String, nullable=False),
    Column("tokens_in", BigInteger, nullable=False),
    Column("tokens_out", BigInteger, nullable=False),
    Column("finish", String, nullable=False),  # why it ended, in the service's word
    Column("seconds", Float, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),  # UTC
)
"""What endpoints said. Unlike the runs, this cannot be made again from folders, only asked and paid for again."""
