"""What HumanLayer's client (0.7.9) calls: approval of a function call, and a question to a human."""
