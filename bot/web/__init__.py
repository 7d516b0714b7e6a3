"""The HTTP surface: the API, the pages behind personal links, health and metrics."""
