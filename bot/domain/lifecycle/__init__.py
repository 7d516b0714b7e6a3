"""What can happen to a request, and what follows from it."""
