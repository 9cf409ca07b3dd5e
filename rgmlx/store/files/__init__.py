"""Files below the tables: SQLite's formats and errors, locks, disk space. Knows no conversation."""
