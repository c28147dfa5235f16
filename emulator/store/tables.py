"""The tables of the data directory's one SQLite file, and the steps between its versions."""

from collections.abc import Callable

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

metadata = MetaData()

accounts = Table(
    "accounts",
    metadata,
    Column("public_key", String, primary_key=True),
    Column("secret_box", LargeBinary, nullable=False),
    Column("tier", String, nullable=False),
    Column("rate_per_minute", Integer, nullable=False),
    Column("burst", Integer, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("expires_at", Float),
    Column("created_at", Float, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("completed_at", Float, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("jobs_by_owner", "owner", "completed_at"),
)

properties = Table(
    "properties",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

Migration = Callable[[Connection], None]

MIGRATIONS: tuple[Migration, ...] = (metadata.create_all,)
"""Step N brings a file of version N to version N + 1 (`PRAGMA user_version`)."""
