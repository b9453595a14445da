"""The writing side: from a signal, a bulk write or a statement to markers and their release."""
