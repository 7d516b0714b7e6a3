"""From selectors to people: directory look-ups, groups, stand-ins."""
