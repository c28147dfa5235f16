"""The tables of the data directory's one SQLite file."""

from sqlalchemy import (
    Column,
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
    Column("status", String, nullable=False),
    Column("known", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("completed_at", Float),
    Column("bytes", Integer, nullable=False),
    Column("result", LargeBinary),
    Index("jobs_by_owner", "owner", "completed_at"),
    Index("jobs_by_end", "completed_at", "bytes"),
)
"""`completed_at` is null while a job has not ended; `result` comes last, for it may be large."""

properties = Table(
    "properties",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("state", LargeBinary, nullable=False),
)
"""Those that live; what is asked of them is in memory, so `state` is read at the start alone."""

services = Table(
    "services",
    metadata,
    Column("service_id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("state", LargeBinary, nullable=False),
)
"""Those that were not destroyed, as `sessions`."""

vaults = Table(
    "vaults",
    metadata,
    Column("service_id", String, primary_key=True),
    Column("updated_at", Float, nullable=False),
    Column("box", LargeBinary, nullable=False),
)
"""Secret variables of services, sealed with the service's id for a context."""
