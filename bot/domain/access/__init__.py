"""Who may see a request, and do what with it: keys and people."""
