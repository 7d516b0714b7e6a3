"""A Slack on this machine, which refuses what the real one refuses."""
