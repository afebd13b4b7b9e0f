"""What differs on SQLite: the hot statements by hand."""

NAME = "sqlite"
