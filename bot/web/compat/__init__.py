"""Routes for clients that people already have, one file a protocol: each call becomes one of our own."""
