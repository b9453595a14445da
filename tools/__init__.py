"""What `make` needs: environments, servers, and a way to run a command with them.

Standard library only, since it runs before anything is installed.
"""

import sys

# An older Python gets this far, though not through the other modules.
if sys.version_info < (3, 11):  # noqa: UP036 - this is what says so
    sys.exit(
        "refcache needs Python 3.11 or later, and this one is {}.{}. "
        "Name another: make PYTHON=python3.13 ...".format(*sys.version_info)
    )
