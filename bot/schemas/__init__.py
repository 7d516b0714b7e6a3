"""The JSON of the HTTP API: what comes in (`bodies`) and what goes out (`answers`)."""
