"""The bounds that the suite declares, and what is granted above them."""

import os

STRICT = os.environ.get("REFCACHE_FAULTS_STRICT") == "1"

# Seconds above a declared bound. The product's promise; or room for a machine that does other
# things as well, which says nothing about the code.
MARGIN = 0.1 if STRICT else 10.0
# REFCACHE["TIMEOUT"], per call of the store: the default; or what is not reached by chance.
TIMEOUT = 0.1 if STRICT else 0.4

# Until a process has got the answer to a command, the slowest of which ends a hanging load.
LIMIT = 30.0
