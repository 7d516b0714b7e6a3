"""A mail relay on this machine, with its mailbox as a page."""
