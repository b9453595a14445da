"""Writes from outside Django: triggers note them in an outbox, and the relay applies them."""
