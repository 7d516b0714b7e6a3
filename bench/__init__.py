"""Benchmarks: Assent beside the bare minimum written straight on the database driver."""
