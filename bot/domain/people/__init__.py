"""Who may respond, see and act, and when their responses are enough."""
