"""A foreign table in database A over the customers of database B, and a materialised view of it."""

from django.db import connections, transaction

# A role of its own, with SELECT on this one table, is what production wants in the mapping.
SERVER = """
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
DROP SERVER IF EXISTS customers CASCADE;
CREATE SERVER customers FOREIGN DATA WRAPPER postgres_fdw
    OPTIONS (host %(host)s, port %(port)s, dbname %(name)s);
CREATE USER MAPPING FOR CURRENT_USER SERVER customers
    OPTIONS (user %(user)s, password %(password)s);
CREATE FOREIGN TABLE patterns_foreigncustomer (id bigint, name varchar(100), tier varchar(10))
    SERVER customers OPTIONS (table_name 'customers_customer');
"""
VIEW = """
CREATE MATERIALIZED VIEW patterns_viewedcustomer AS SELECT * FROM patterns_foreigncustomer;
CREATE UNIQUE INDEX ON patterns_viewedcustomer (id);
ANALYZE patterns_viewedcustomer;
"""
REFRESH = "REFRESH MATERIALIZED VIEW CONCURRENTLY patterns_viewedcustomer"


def is_possible() -> bool:
    """Whether both databases are PostgreSQL."""
    return all(connections[alias].vendor == "postgresql" for alias in ("default", "events"))


def install() -> None:
    """Make both, anew."""
    other = connections["default"].settings_dict
    options = {
        "host": other["HOST"],
        "port": str(other["PORT"]),
        "name": other["NAME"],
        "user": other["USER"],
        "password": other["PASSWORD"],
    }
    with transaction.atomic(using="events"), connections["events"].cursor() as cursor:
        cursor.execute(SERVER, options)
        cursor.execute(VIEW)


def refresh() -> None:
    """Bring the materialised view up to date, beside its readers: it reads the whole table."""
    with connections["events"].cursor() as cursor:
        cursor.execute(REFRESH)
