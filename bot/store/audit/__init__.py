"""The audit trail, replayed."""
