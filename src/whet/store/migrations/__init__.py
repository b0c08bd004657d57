"""Alembic's folder: how an index of an older whet becomes one of this version.

A new version is a new file in ``versions``, numbered on, its number added to
``whet.store.versions.VERSIONS``. A test compares what the migrations make with what ``tables``
describes, in SQLite and in PostgreSQL, and names every difference. SQLite cannot alter a column in
place: use ``op.batch_alter_table``. Everything runs in the one transaction of
``whet.store.schema.ensure_schema``.
"""
