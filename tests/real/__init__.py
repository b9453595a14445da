"""The example as in production, under load: no stale read, and figures that servers confirm."""
