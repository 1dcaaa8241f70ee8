"""The tables. To those of `TABLES` rows are only ever added: triggers that the migrations make refuse all else."""

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

projects = Table(
    "projects",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("slug", String(64), nullable=False, unique=True),
    Column("settings", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("project", Integer, ForeignKey("projects.id"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("form", String(32), nullable=False),
    Column("prompt_id", String(255), ForeignKey("prompts.id"), nullable=False),
    Column("completions", JSON, nullable=False),
    Column("place", Float, nullable=False),
    Column("gold", JSON, nullable=True),
    UniqueConstraint("project", "name", name="items_name"),
)

turns = Table(
    "turns",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("item", Integer, ForeignKey("items.id"), nullable=False),
    Column("annotator", String(255), nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("tab", String(64), nullable=False),
    Column("until", Float, nullable=False),
    Column("ended", String(16), nullable=True),
    Column("amended", Integer, nullable=False),
    UniqueConstraint("item", "annotator", "repeat", name="turns_once"),
    Index("turns_annotator", "annotator"),
)

remarks = Table(
    "remarks",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("key", String(255), nullable=False, unique=True),
    Column("item", Integer, ForeignKey("items.id"), nullable=False),
    Column("annotator", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password", String(255), nullable=True),
    Column("settings", JSON, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

passes = Table(
    "passes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("label", String(255), nullable=False),
    Column("user", Integer, ForeignKey("users.id"), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("until", Float, nullable=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

install = Table(
    "install",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("url", Text, nullable=False),
    Column("secret", String(255), nullable=False),
    Column("events", JSON, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("webhook", Integer, ForeignKey("webhooks.id"), nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Column("ended", String(16), nullable=True),
    Column("note", Text, nullable=False),
    Index("deliveries_due", "ended", "due"),
)
