"""What the automation beside it does; a function's result is known to the elements after it."""

from __future__ import annotations

from typing import Any


def prepare(order: str, amount: float) -> dict[str, Any]:
    """Look up what people need to know."""
    return {"order": order, "amount": amount, "customer": "8841", "complaint": "arrived broken"}


def refund(payload: dict[str, Any]) -> str:
    """Do it, exactly as it was approved."""
    return f"refunded €{payload['amount']} for order {payload['order']}"
