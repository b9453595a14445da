"""Rows as event stores give them."""
