"""The embedded engine: one SQLite file, its blobs, and the static tiles that others read."""
