"""The store's schema, by Alembic."""
