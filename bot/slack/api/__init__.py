"""Calls to Slack's Web API, and who is who there."""
