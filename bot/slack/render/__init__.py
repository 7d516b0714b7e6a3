"""A request as Slack's blocks; pure."""
