"""The methods of the Web API that Assent calls."""
