"""A request and everything that belongs to it, as frozen values."""
