"""PostgreSQL, for any number of nodes."""
