"""The store's tables. Rows are only ever added: triggers made by the migrations refuse all else."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

prompts = Table(
    "prompts",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(255), nullable=False, unique=True),
    Column("content", JSON, nullable=False),
)

completions = Table(
    "completions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(255), nullable=False, unique=True),
    Column("prompt_id", String(255), ForeignKey("prompts.id"), nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("policy", String(255), nullable=False),
    Column("finished", Boolean, nullable=False),
)

annotators = Table(
    "annotators",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("kind", String(16), nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("key", String(255), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("annotator", String(255), ForeignKey("annotators.id"), nullable=False),
    Column("prompt_id", String(255), ForeignKey("prompts.id"), nullable=False),
    Column("said", JSON, nullable=False),
    Column("seconds", Float, nullable=True),
    Column("amends", String(255), nullable=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("people", Integer, nullable=False, server_default="1"),
    UniqueConstraint("key", name="answers_key"),
    Index("answers_annotator", "annotator"),
    Index("answers_prompt", "prompt_id"),
)

TABLES = ("prompts", "completions", "annotators", "answers")
