"""The command `assent`: one file a group of commands, each a client of the HTTP API like any other."""
