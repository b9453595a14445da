"""Signals of `ReferenceQuerySet`'s bulk writes; Django's own are seen by their statements."""

from django.dispatch import Signal

# Sent in a transaction, with `using`, `keys` (primary keys; None: any row), `instances`,
# `update_fields` (None: all), `cause`, and `stack`, an ExitStack that ends with the write. Before
# the rows are written, or after, as soon as their keys are known: nobody else sees them before
# the commit.
bulk_write = Signal()

# Sent with `using` and `stack`, an ExitStack that ends with the inserts.
bulk_insert = Signal()
