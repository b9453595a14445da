"""A small project that servers in processes of their own serve."""
