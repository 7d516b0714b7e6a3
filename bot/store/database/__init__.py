"""Engines, tables and how rows are written and read."""
