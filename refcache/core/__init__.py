"""Ring 0: the rules. Knows neither Django nor Redis, and does no I/O."""
