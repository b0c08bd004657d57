"""The store: an index of run folders in SQLite, or in PostgreSQL by URL.

The folders are the truth; the index only answers quickly, and ``rebuild`` makes it again from
them. Beside it lies what endpoints said, which no folder has. One file a matter, read in this order:

``place``       where the index lies
``location``    its address as SQLAlchemy takes it, and how to name it without its password
``tables``      the tables
``versions``    the versions of their schema
``rows``        what the index answers with
``folder``      what is read from a run folder
``walk``        run folders below some places
``trouble``     what a database says, turned into a problem with a remedy
``connection``  engines, and transactions that take turns
``schema``      new, older, newer, foreign or damaged databases
``statements``  the SQL
``aside``       a damaged file gets another name
``index``       the index itself: ``open_store``, ``Store``, ``note_run``
``listing``     the list of runs, fast: ``list_runs``
``standing``    how a run stands now: gone, or stopped by a kill

Problem codes: S001 to S010 speak of the index, S020 to S024 of a folder, S030 and S031 of a name
that was looked up.
"""
