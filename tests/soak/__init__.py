"""Readers, writers and kills at random, and a ledger that knows what no read may contradict."""
