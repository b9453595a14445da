"""What gunicorn preloads: its master reads, as an application that checks itself at its start."""

import os

from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.urls import get_resolver

from refcache import references

application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018 - registers

references["served"].get_many(os.environ["REFCACHE_TEST_KEYS"].split(","))
# Django's connections do not survive a fork; refcache's do, as redis-py opens new ones.
connections.close_all()
