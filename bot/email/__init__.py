"""The email surface: compose a mail for a delivery, and hand it to the relay."""
