"""What Slack sends: events, interactivity and commands, by HTTP or Socket Mode."""
