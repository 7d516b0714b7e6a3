"""Wake-ups after commits."""
