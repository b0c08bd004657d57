"""The versions of the schema; beside the tables, so that a listing need not load SQLAlchemy."""

VERSIONS = ("0001", "0002")
"""Oldest first; a test holds this equal to the migrations."""

SCHEMA = VERSIONS[-1]
