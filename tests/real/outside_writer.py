"""A program that knows nothing of Django: python -m tests.real.outside_writer LEDGER SEED PKS.

Only triggers and the relay see what it writes, to the database that `DATABASE_URL` names.
"""

import os
import sys

import psycopg

from tests.real.ledger import name_of
from tests.real.writing import Rows

ONE = "UPDATE customers_customer SET name = %s WHERE id = %s"
SEVERAL = (
    "UPDATE customers_customer SET name = new.name "
    "FROM unnest(%s::bigint[], %s::text[]) AS new(id, name) WHERE customers_customer.id = new.id"
)


def main() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:

        def together(versions: dict[int, int]) -> bool:
            names = [name_of(pk, new) for pk, new in versions.items()]
            connection.execute(SEVERAL, [list(versions), names])
            return True

        def one_by_one(versions: dict[int, int]) -> bool:
            with connection.transaction():
                for pk, new in versions.items():
                    connection.execute(ONE, [name_of(pk, new), pk])
            return True

        def roll_back(versions: dict[int, int]) -> bool:
            with connection.transaction(force_rollback=True):
                for pk, new in versions.items():
                    connection.execute(ONE, [name_of(pk, new, lost=True), pk])
            return False

        Rows(sys.argv[1:]).write_until_told([together, one_by_one, roll_back])


if __name__ == "__main__":
    main()
