"""What a server keeps between its requests: one SQLite file, and the bytes of files beside it."""
