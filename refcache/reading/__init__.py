"""The reading side: from a model to loaded rows."""
