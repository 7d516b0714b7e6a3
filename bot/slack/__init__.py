"""Slack: cards, modals, the Home tab and commands, in both directions."""
