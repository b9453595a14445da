"""Every kind of write, on every database, and what the next read of its rows is to give."""
