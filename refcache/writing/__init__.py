"""The writing side: from a signal to markers and their release."""
