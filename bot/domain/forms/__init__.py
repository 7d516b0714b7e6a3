"""JSON Schema forms: the dialect, values, edits and their faults."""
