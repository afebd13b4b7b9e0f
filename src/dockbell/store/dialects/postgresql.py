"""What differs on PostgreSQL: the hot statements by hand."""

NAME = "postgresql"
