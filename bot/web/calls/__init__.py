"""What every call goes through: keys, limits, bodies, idempotency, who acts."""
