"""The audit database: runs, cases, decisions and sign-offs, in SQLite or PostgreSQL. Rows are added, never changed."""
