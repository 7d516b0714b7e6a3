"""What is sent to Slack: cards, messages and the Home."""
