"""What decides without people, and what an approval is worth."""
