"""A Slack and a mailbox on this machine, for `assent demo` and the tests. Nothing here knows the product."""
