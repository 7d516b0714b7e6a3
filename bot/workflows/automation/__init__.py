"""Workflows as YAML files."""
