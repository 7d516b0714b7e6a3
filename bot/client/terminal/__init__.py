"""What the client shows and asks at a terminal."""
