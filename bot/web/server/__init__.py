"""The application: connections, headers, proxies, metrics."""
