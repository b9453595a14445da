"""The tests' settings, for a process whose connections can be told from all others."""

import os

from tests.settings import *  # noqa: F403 - as settings are built on others
from tests.settings import CACHES, DATABASES, POSTGRES

# Of its connections, and in front of its keys.
NAME = os.environ["REFCACHE_TEST_NAME"]

ROOT_URLCONF = "tests.integration.served.urls"
ALLOWED_HOSTS = ["127.0.0.1"]

for database in DATABASES.values():
    if database["USER" if "USER" in database else "NAME"] == POSTGRES[1]:
        database["OPTIONS"] = {"application_name": NAME}

CACHES["default"]["KEY_PREFIX"] = NAME
CACHES["default"]["LOCATION"] += f"?client_name={NAME}"
