"""Which blocks Slack takes."""
