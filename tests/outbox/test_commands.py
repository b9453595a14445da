"""refcache_triggers and refcache_relay --once, and what a migration does to triggers."""

import subprocess
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connections

from refcache import ReferenceCache, references
from refcache.outbox.models import Change, InstalledTrigger
from refcache.outbox.triggers import dialect_of, install
from refcache.outbox.upkeep import State, after_migrate, reinstall, states
from tests.outbox.conftest import run_sql
from tests.restapp.models import Gadget
from tests.servers.process import START_LIMIT
from tests.testapp.models import Customer
from tools.servers import Program

ALIASES = ["default", "sqlite", "mariadb"]
pytestmark = pytest.mark.django_db(transaction=True, databases=ALIASES)

Watched = Callable[..., None]


@pytest.fixture(params=ALIASES)
def alias(request: pytest.FixtureRequest, no_triggers: Callable[[str], None]) -> str:
    no_triggers(request.param)
    return str(request.param)


@pytest.fixture
def customers(alias: str, registry: ReferenceCache) -> ReferenceCache:
    registry.register("testapp.Customer", ["name"], name="customer", using=alias)
    return registry


@pytest.fixture
def _default(no_triggers: Callable[[str], None], scripts: None) -> None:  # noqa: ARG001 - loaded
    no_triggers("default")


def run(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def existing(alias: str) -> list[str]:
    return [each.name for each in dialect_of(connections[alias]).existing(connections[alias])]


@pytest.mark.usefixtures("_default")
def test_all_tables_of_all_references_are_watched() -> None:
    out = run("refcache_triggers", "install")

    assert out.splitlines() == [
        f"default: {name} is watched." for name in references.tables("default")
    ]
    assert set(states("default", references.tables("default")).values()) == {State.CURRENT}


@pytest.mark.usefixtures("_default")
def test_installing_and_uninstalling_again_changes_nothing() -> None:
    run("refcache_triggers", "install")
    first = existing("default")
    run("refcache_triggers", "install")
    assert existing("default") == first

    assert run("refcache_triggers", "uninstall").count("dropped") == len(first)
    assert run("refcache_triggers", "uninstall") == "default: there is nothing to drop.\n"
    assert existing("default") == []
    assert not InstalledTrigger.objects.exists()


@pytest.mark.usefixtures("_default")
def test_tables_are_named_as_such_or_by_their_references() -> None:
    assert run("refcache_triggers", "install", "account") == (
        "default: restapp_buyer is watched.\ndefault: restapp_firm is watched.\n"
    )
    assert "testapp_customer" in run("refcache_triggers", "install", "testapp_customer")

    run("refcache_triggers", "uninstall", "account")

    assert [each.table for each in InstalledTrigger.objects.all()] == ["testapp_customer"]


@pytest.mark.usefixtures("_default")
def test_installing_drops_what_nobody_watched_until_then() -> None:
    gadget = Gadget.objects.create(serial="old")
    references["gadget"].get(gadget.pk)
    run_sql("default", "UPDATE restapp_gadget SET serial = 'new'")

    run("refcache_triggers", "install", "gadget")
    assert run("refcache_relay", "--once").startswith("default: 1 changes, lag ")

    assert references["gadget"].get_many([gadget.pk])[gadget.pk].serial == "new"
    assert run("refcache_relay", "--once", "--database=default") == "default: 0 changes\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["install", "--database=evnts"], "'evnts' is no alias of DATABASES .known: default"),
        (["install", "--database=events"], "No reference loads from 'events' .they load from"),
        (["install", "gadgt"], "'gadgt' is no reference, and no table that references read"),
    ],
)
def test_wrong_arguments_are_told(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("refcache_triggers", *arguments)


@pytest.mark.parametrize("argument", ["--interval=0", "--batch=x", "--report=-1", "--batch=1.5"])
def test_the_relay_wants_numbers_above_zero(argument: str) -> None:
    with pytest.raises(CommandError, match="is no number above 0"):
        run("refcache_relay", argument)


@pytest.mark.usefixtures("_default")
def test_a_database_without_triggers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(connections["default"], "vendor", "oracle")
        with pytest.raises(CommandError, match="there are triggers for PostgreSQL, MySQL, MariaDB"):
            run("refcache_triggers", "install")


@pytest.mark.usefixtures("_default")
def test_a_table_that_is_not_there_is_told() -> None:
    run_sql("default", "ALTER TABLE restapp_gadget RENAME TO gadgets")
    run_sql("default", "CREATE VIEW restapp_gadget AS SELECT * FROM gadgets")
    message = r"there is no table restapp_gadget\. Migrate first; a view"
    try:
        with pytest.raises(CommandError, match=message):
            run("refcache_triggers", "install", "gadget")
    finally:
        run_sql("default", "DROP VIEW restapp_gadget")
        run_sql("default", "ALTER TABLE gadgets RENAME TO restapp_gadget")


@pytest.mark.usefixtures("_default")
def test_the_migration_makes_what_the_models_say() -> None:
    run("makemigrations", "refcache_outbox", "--check", "--dry-run")


def test_the_outbox_leaves_no_trigger_behind_and_is_asked_for(
    customers: ReferenceCache, alias: str
) -> None:
    install(alias, customers.tables(alias))
    try:
        call_command("migrate", "refcache_outbox", "zero", database=alias, verbosity=0)
        assert existing(alias) == []
        Customer.objects.using(alias).bulk_create([Customer(name="Ann")])
        with pytest.raises(Exception, match=f"migrate refcache_outbox --database {alias}"):
            install(alias, customers.tables(alias))
    finally:
        call_command("migrate", "refcache_outbox", database=alias, verbosity=0)


def test_triggers_that_lack_a_key_are_outdated_until_they_are_made_anew(
    customers: ReferenceCache, alias: str
) -> None:
    install(alias, customers.tables(alias))
    assert states(alias, customers.tables(alias)) == {"testapp_customer": State.CURRENT}
    customers.register("testapp.Customer", ["name"], name="mail", key="email", using=alias)

    assert states(alias, customers.tables(alias)) == {"testapp_customer": State.OUTDATED}
    assert reinstall(alias, customers.tables(alias)) == ["testapp_customer"]
    assert states(alias, customers.tables(alias)) == {"testapp_customer": State.CURRENT}
    assert reinstall(alias, customers.tables(alias)) == []


@pytest.mark.parametrize("alias", ["sqlite"], indirect=True)
def test_triggers_are_made_again_when_sqlite_has_made_a_table_anew(
    customers: ReferenceCache, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(alias, customers.tables(alias))
    tier = Customer._meta.get_field("tier")
    longer = tier.clone()
    longer.max_length = 12
    longer.set_attributes_from_name("tier")
    monkeypatch.setattr("refcache.outbox.upkeep.references", customers)

    with connections[alias].schema_editor() as editor:
        editor.alter_field(Customer, tier, longer)
    assert existing(alias) == []
    call_command("migrate", "refcache_outbox", database=alias, verbosity=0)

    assert states(alias, customers.tables(alias)) == {"testapp_customer": State.CURRENT}
    with connections[alias].schema_editor() as editor:
        editor.alter_field(Customer, longer, tier)


def test_triggers_that_a_migration_drops_are_made_again(
    customers: ReferenceCache, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(alias, customers.tables(alias))
    for each in dialect_of(connections[alias]).existing(connections[alias])[:1]:
        run_sql(alias, each.drop)
    assert states(alias, customers.tables(alias)) == {"testapp_customer": State.OUTDATED}
    monkeypatch.setattr("refcache.outbox.upkeep.references", customers)

    after_migrate(using=alias, plan=[])

    assert states(alias, customers.tables(alias)) == {"testapp_customer": State.CURRENT}
    found = Change.objects.using(alias).values_list("rows", flat=True)
    assert list(found) == [None, None]  # Meanwhile nobody has watched.


def test_a_renamed_table_keeps_no_old_triggers(
    customers: ReferenceCache, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(alias, customers.tables(alias))
    count = len(existing(alias))
    for alike in (False, True):
        references.tables(alias, alike=alike)  # Else the project's would keep the other name.
    run_sql(alias, "ALTER TABLE testapp_customer RENAME TO renamed")
    monkeypatch.setattr(Customer._meta, "db_table", "renamed")
    renamed = ReferenceCache(customers._running.place)
    renamed.register("testapp.Customer", ["name"], name="customer", using=alias)
    try:
        assert states(alias, renamed.tables(alias)) == {"renamed": State.OUTDATED}
        assert reinstall(alias, renamed.tables(alias)) == ["renamed"]
        Change.objects.using(alias).all().delete()

        run_sql(alias, "INSERT INTO renamed (id, name, tier, is_active) VALUES (1, 'a', 'b', TRUE)")

        assert [each.table for each in Change.objects.using(alias)] == ["renamed"]
        assert len(existing(alias)) - count <= 1  # PostgreSQL: the old function.
    finally:
        run_sql(alias, "ALTER TABLE renamed RENAME TO testapp_customer")


@pytest.mark.usefixtures("_default")
def test_the_checks_tell_of_missing_and_outdated_triggers() -> None:
    assert checked() == set()  # Nobody uses them.
    run("refcache_triggers", "install")
    assert checked() == set()

    run("refcache_triggers", "uninstall", "gadget")
    run_sql("default", "DROP TRIGGER refcache_insert ON restapp_spot")

    assert checked() == {
        ("refcache_outbox.W001", "restapp_gadget"),
        ("refcache_outbox.W002", "restapp_spot"),
    }


def checked() -> set[tuple[str, str]]:
    """The check's messages: ids, and the tables that they name."""
    found = run_checks(tags=["database"], databases=["default"])
    ours = [each for each in found if str(each.id).startswith("refcache_outbox.")]
    return {(str(each.id), each.msg.split("'")[1]) for each in ours}


@pytest.mark.usefixtures("_default")
def test_the_sql_can_be_run_by_psql(psql: Program) -> None:
    settings = connections["default"].settings_dict
    url = f"postgresql://{settings['USER']}@127.0.0.1:{settings['PORT']}/{settings['NAME']}"
    text = run("refcache_triggers", "sql", "--no-notify")

    subprocess.run(
        [psql.path, "-q", "-v", "ON_ERROR_STOP=1", url],
        env=psql.environ(),
        input=text,
        text=True,
        check=True,
        timeout=START_LIMIT,
    )

    assert "pg_notify" not in text
    assert set(states("default", references.tables("default")).values()) == {State.CURRENT}
    assert not InstalledTrigger.objects.filter(notifies=True).exists()
