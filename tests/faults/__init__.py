"""Faults on real servers, seen by processes that read and one that writes."""
