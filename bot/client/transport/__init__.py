"""How calls travel: over HTTP, or straight to a database."""
