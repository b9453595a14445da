"""A reference reads from the database that it names, whichever of Django's that is."""

import subprocess
import sys
import textwrap

import pytest

from refcache import ReferenceCache
from refcache.reference import Reference
from tests.integration.watching import statements
from tests.testapp.models import Customer

ALIASES = ["default", "mariadb", "sqlite"]


def on_each_database() -> list[object]:
    """Return the aliases as parameters; each needs no server but its own."""
    return [
        pytest.param(alias, marks=pytest.mark.django_db(transaction=True, databases=[alias]))
        for alias in ALIASES
    ]


@pytest.fixture(params=on_each_database())
def alias(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def customers(alias: str, registry: ReferenceCache) -> Reference:
    registry.register("testapp.Customer", ["name", "tier"], name="customer", using=alias)
    return registry["customer"]


def test_a_row_is_read_from_the_database_that_is_named(customers: Reference, alias: str) -> None:
    ann = Customer.objects.using(alias).create(name="Ann")

    with statements(alias) as sent:
        answers = [customers.get(ann.pk) for _ in ("cold", "warm")]

    assert [answer and answer.name for answer in answers] == ["Ann", "Ann"]
    assert len(sent) == 1


def test_a_save_is_seen_by_the_next_read(customers: Reference, alias: str) -> None:
    ann = Customer.objects.using(alias).create(name="Ann")
    customers.get(ann.pk)

    ann.name = "Anna"
    ann.save(using=alias)

    found = customers.get(ann.pk)
    assert found is not None
    assert found.name == "Anna"


def test_a_delete_is_seen_by_the_next_read(customers: Reference, alias: str) -> None:
    ann = Customer.objects.using(alias).create(name="Ann")
    pk = ann.pk
    customers.get(pk)

    ann.delete(using=alias)

    assert customers.get(pk) is None


def test_another_process_finds_the_same_database(customers: Reference, alias: str) -> None:
    code = f"""
        import os
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        import django
        django.setup()
        from tests.testapp.models import Customer
        print(Customer.objects.using("{alias}").create(name="Far").pk)
    """

    pk = subprocess.check_output([sys.executable, "-c", textwrap.dedent(code)], text=True)

    found = customers.get(pk)
    assert found is not None
    assert found.name == "Far"
