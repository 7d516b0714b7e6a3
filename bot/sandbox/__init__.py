"""A Slack and a mailbox on this machine, for `assent demo` and the tests; it knows nothing of the product."""
