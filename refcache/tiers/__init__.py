"""Ring 1: where entries are kept."""
