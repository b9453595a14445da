"""The batch endpoint: who may read what, how keys are spelled, and what is answered."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from rest_framework.authentication import BasicAuthentication
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from refcache import InvalidReference, UnknownReference
from refcache.rest_framework import ReferenceView
from refcache.rest_framework.spelling import asked_keys
from tests.integration.rest.test_staleness import database, declare  # noqa: F401 - fixtures
from tests.restapp.models import Buyer, Gadget, Order, Represented, Spot
from tests.restapp.serializers import RepresentedSerializer
from tests.restapp.urls import References
from tests.testapp.models import Device

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

HTML = {"accept": "text/html"}
NO_SUCH_ID = 10**9

Get = Callable[..., Any]


class OnlyAnn(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - theirs
        return request.headers.get("x-name") == "ann"


class Thrice(SimpleRateThrottle):
    rate = "3/hour"

    def get_cache_key(self, request: Request, view: APIView) -> str:  # noqa: ARG002 - theirs
        return f"throttled:{request.headers['x-name']}"


def ask(name: str, /, headers: Mapping[str, str] | None = None, **view: Any) -> Response:
    """Ask a view of its own for the gadget 1."""
    request = APIRequestFactory().get("/", {"keys": "1"}, headers=headers)
    response = ReferenceView.as_view(**view)(request, name=name)
    assert isinstance(response, Response)
    return response


@pytest.fixture
def get(api: APIClient) -> Get:
    def send(name: str, *keys: str, fields: str | None = None, **extra: Any) -> Any:
        query = [*(("keys", each) for each in keys), *([("fields", fields)] if fields else [])]
        return api.get(f"/references/{name}/?{urlencode(query)}", **extra)

    return send


# What is answered


@pytest.mark.usefixtures("orders")
def test_rows_are_found_by_the_keys_as_they_were_asked_for(get: Get) -> None:
    first, second, _ = Buyer.objects.order_by("pk")

    response = get("buyer", f"{second.pk},0{first.pk},{NO_SUCH_ID}")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["found", "absent", "invalid", "failed", "stale"]
    assert response.json() == {
        "found": {
            str(second.pk): {"name": "b1", "tier": "basic"},
            f"0{first.pk}": {"name": "b0", "tier": "basic"},
        },
        "absent": [str(NO_SUCH_ID)],
        "invalid": {},
        "failed": [],
        "stale": [],
    }
    assert list(response.json()["found"]) == [str(second.pk), f"0{first.pk}"]


@pytest.mark.usefixtures("orders")
def test_a_warm_page_costs_one_round_trip_and_no_query(get: Get, measured: Any) -> None:
    keys = ",".join(str(pk) for pk in Buyer.objects.values_list("pk", flat=True))
    get("buyer", keys)

    with measured() as cost:
        assert len(get("buyer", keys).json()["found"]) == 3

    assert cost.counts == (0, 0, 1)


@pytest.mark.usefixtures("orders")
def test_spanned_fields_cost_one_more_round_trip(get: Get, measured: Any) -> None:
    keys = ",".join(str(pk) for pk in Buyer.objects.values_list("pk", flat=True))
    get("account", keys)

    with measured() as cost:
        rows = get("account", keys).json()["found"].values()

    assert [row["firm__name"] for row in rows] == ["ACME"] * 3
    assert cost.counts == (0, 0, 2)


@pytest.mark.usefixtures("orders")
def test_what_was_committed_is_in_the_next_answer(get: Get) -> None:
    buyer = Buyer.objects.earliest("pk")
    get("buyer", str(buyer.pk))

    Buyer.objects.filter(pk=buyer.pk).update(name="new")

    assert get("buyer", str(buyer.pk)).json()["found"][str(buyer.pk)]["name"] == "new"


def test_a_row_outside_the_filter_is_absent(get: Get) -> None:
    gone = Buyer.objects.create(name="gone", is_active=False)

    assert get("buyer", str(gone.pk)).json()["absent"] == [str(gone.pk)]


def test_values_are_those_of_a_model_serializer(get: Get) -> None:
    made = Represented.objects.create(
        date="2024-02-29",
        datetime="2024-02-29T23:59:59.123456Z",
        decimal="12.500",
        file="folder/a b.txt",
        json={"a": [1, {"b": None}]},
        uuid="12345678123456781234567812345678",
    )
    row = Represented.objects.get(pk=made.pk)
    request = APIRequestFactory().get("/")

    found = get("represented", str(row.pk)).json()["found"][str(row.pk)]

    by_model = RepresentedSerializer(row, context={"request": request}).data
    assert found == json.loads(JSONRenderer().render(by_model))
    assert found["file"].startswith("http://testserver/")


# Keys


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1,2,3"], {"1": "1", "2": "2", "3": "3"}),
        (["1", "2,3"], {"1": "1", "2": "2", "3": "3"}),
        (["1,1", "1"], {"1": "1"}),
        ([""], {}),
        (["1,,2,"], {"1": "1", "2": "2"}),
        (["[1,null,2]"], {"1": 1, "2": 2}),
        (['["a,b","c"]', "d"], {"a,b": "a,b", "c": "c", "d": "d"}),
        (['[""]'], {"": ""}),
        (['[["x", 1],["ü",2]]'], {'["x",1]': ("x", 1), '["ü",2]': ("ü", 2)}),
        (['[["x",null]]'], {}),
        (["[]"], {}),
    ],
)
def test_keys_are_spelled_with_commas_or_as_a_json_list(
    values: list[str], expected: dict[str, object]
) -> None:
    assert asked_keys(values) == expected


@pytest.mark.parametrize(
    "value",
    ["[1", "[1]]", "[NaN]", "[-Infinity]", '[{"a":1}]', "[[[1]]]", "[" * 5000, r'["\ud800"]'],
)
def test_what_begins_like_a_json_list_and_is_none_is_refused(get: Get, value: str) -> None:
    response = get("gadget", value)

    assert response.status_code == 400
    assert "no JSON list of keys" in response.json()["keys"][0]


def test_a_text_may_hold_commas(get: Get) -> None:
    Gadget.objects.create(serial="a,b")

    response = get("by-serial", json.dumps(["a,b"]))

    assert response.json()["found"] == {"a,b": {"serial": "a,b"}}


def test_a_composite_key_is_a_list_and_comes_back_as_javascript_spells_it(get: Get) -> None:
    Spot.objects.create(site="x", number=3, label="here")

    response = get("spot", '[["x", 3], ["x", 4]]')

    assert response.json()["found"] == {'["x",3]': {"label": "here"}}
    assert response.json()["absent"] == ['["x",4]']


def test_a_key_may_be_a_uuid(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(References, "references", {"device": "__all__"})
    pk = UUID(int=uuid4().int)
    Device.objects.create(id=pk, serial="s")

    response = get("device", str(pk).upper())

    assert response.json()["found"] == {str(pk).upper(): {"serial": "s"}}


@pytest.mark.usefixtures("orders")
def test_a_bad_key_is_named_and_spoils_no_other(get: Get) -> None:
    good = Gadget.objects.earliest("pk")

    response = get("gadget", f"x,{good.pk},{10**30}")

    assert response.status_code == 200
    assert list(response.json()["found"]) == [str(good.pk)]
    assert list(response.json()["invalid"]) == ["x", str(10**30)]
    assert response.json()["invalid"]["x"].startswith("'x' is not a key of restapp.Gadget.id")


def test_two_spellings_of_one_key_are_both_answered(get: Get) -> None:
    pk = Gadget.objects.create(serial="g").pk

    assert get("gadget", f"{pk},+{pk}").json()["found"] == {
        str(pk): {"serial": "g"},
        f"+{pk}": {"serial": "g"},
    }


def test_no_keys_are_an_answer_and_no_parameter_is_an_error(get: Get, measured: Any) -> None:
    with measured() as cost:
        none, missing = get("gadget", ""), get("gadget")

    assert (none.status_code, none.json()["found"]) == (200, {})
    assert missing.status_code == 400
    assert "as in ?keys=1,2,3" in missing.json()["keys"][0]
    assert cost.counts == (0, 0, 0)


def test_the_example_of_a_composite_key_names_its_parts(get: Get) -> None:
    assert "as in ?keys=[[site,number],[site,number]]" in get("spot").json()["keys"][0]


def test_too_many_keys_are_refused_by_the_cap(get: Get, measured: Any) -> None:
    at_most = get("gadget", ",".join(str(n) for n in range(100)))
    twice = get("gadget", ",".join("1" for _ in range(200)))

    with measured() as cost:
        beyond = get("gadget", ",".join(str(n) for n in range(101)))

    assert (at_most.status_code, twice.status_code, beyond.status_code) == (200, 200, 400)
    assert beyond.json() == {"keys": ["101 keys are too many: ask for at most 100."]}
    assert cost.counts == (0, 0, 0)


# Fields


@pytest.mark.usefixtures("orders")
def test_fewer_fields_may_be_asked_for(get: Get) -> None:
    pk = Buyer.objects.earliest("pk").pk

    assert get("buyer", str(pk), fields="tier").json()["found"] == {str(pk): {"tier": "basic"}}
    assert get("buyer", str(pk), fields="tier,name").json()["found"] == {
        str(pk): {"name": "b0", "tier": "basic"}
    }


@pytest.mark.usefixtures("orders")
def test_a_field_that_is_not_exposed_is_not_shown(
    get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(References, "references", {"buyer": ["name"]})
    pk = Buyer.objects.earliest("pk").pk

    refused = get("buyer", str(pk), fields="name,tier")

    assert get("buyer", str(pk)).json()["found"] == {str(pk): {"name": "b0"}}
    assert refused.status_code == 400
    assert refused.json() == {"fields": ["No field 'tier' (known: name)."]}


# Who may read


def test_a_view_without_permissions_refuses_everybody() -> None:
    view: dict[str, Any] = {"references": {"gadget": "__all__"}, "authentication_classes": []}

    silent = ask("gadget", **view)
    empty = ask("gadget", permission_classes=[], **view)

    assert APIView.permission_classes == [AllowAny]  # The project's default.
    assert (silent.status_code, empty.status_code) == (403, 403)
    assert "no permission_classes" in silent.data["detail"]


def test_a_subclass_that_chooses_none_refuses_everybody() -> None:
    class Choosing(ReferenceView):
        references = {"gadget": "__all__"}
        permission_classes = [AllowAny]

        def get_permissions(self) -> list[BasePermission]:
            return []

    request = APIRequestFactory().get("/", {"keys": "1"})

    assert Choosing.as_view()(request, name="gadget").status_code == 403


def test_who_could_log_in_is_told_so() -> None:
    response = ask(
        "gadget",
        references={"gadget": "__all__"},
        authentication_classes=[BasicAuthentication],
    )

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic")


def test_permissions_are_asked() -> None:
    view = {"references": {"gadget": "__all__"}, "permission_classes": [OnlyAnn]}

    assert ask("gadget", {"x-name": "ann"}, **view).status_code == 200
    assert ask("gadget", {"x-name": "bob"}, **view).status_code == 403


def test_what_exists_is_told_to_those_who_may_read() -> None:
    view = {"references": {"gadget": "__all__"}, "permission_classes": [OnlyAnn]}

    assert ask("buyer", {"x-name": "bob"}, **view).status_code == 403
    assert ask("buyer", {"x-name": "ann"}, **view).status_code == 404
    assert ask("no-such", {"x-name": "ann"}, **view).status_code == 404


def test_a_refusal_reads_nothing(measured: Any) -> None:
    with measured() as cost:
        ask("gadget", references={"gadget": "__all__"})

    assert cost.counts == (0, 0, 0)


def test_throttles_hold() -> None:
    view: dict[str, Any] = {"references": {"gadget": "__all__"}, "throttle_classes": [Thrice]}
    name = {"x-name": uuid4().hex}

    answers = [ask("nothing", name, permission_classes=[AllowAny], **view) for _ in range(4)]

    assert [each.status_code for each in answers] == [404, 404, 404, 429]


# Misdeclared


@pytest.mark.parametrize(
    ("exposed", "error", "message"),
    [
        ({}, InvalidReference, "exposes nothing"),
        (["gadget"], InvalidReference, "exposes nothing"),
        ({"gadgt": ["serial"]}, UnknownReference, r"'gadgt' is not a registered .*known: .*buyer"),
        ({"gadget": ["seril"]}, InvalidReference, r"'seril' of 'gadget'.*known: serial"),
        ({"gadget": "serial"}, InvalidReference, r"Give a list of them"),
        ({"gadget": None}, InvalidReference, r"exposes None of 'gadget'"),
    ],
)
def test_what_is_not_declared_cannot_be_exposed(
    exposed: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ReferenceView.as_view(references=exposed)


@pytest.mark.parametrize("permissions", [[], [OnlyAnn], [AllowAny, OnlyAnn]])
def test_a_view_that_is_public_is_open_to_all(permissions: list[Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match="without asking its permission_classes"):
        ReferenceView.as_view(
            references={"gadget": "__all__"}, permission_classes=permissions, is_public=True
        )


# Other methods and forms


@pytest.mark.usefixtures("orders")
def test_head_and_options_work(api: APIClient) -> None:
    path = f"/references/gadget/?keys={Gadget.objects.earliest('pk').pk}"

    head, options = api.head(path), api.options(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == api.get(path).headers["etag"]
    assert (options.status_code, options.json()["name"]) == (200, "References")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_written(api: APIClient, method: str) -> None:
    assert getattr(api, method)("/references/gadget/?keys=1").status_code == 405


@pytest.mark.usefixtures("orders")
def test_the_browsable_page_shows_the_answer(get: Get) -> None:
    page = get("buyer", str(Buyer.objects.earliest("pk").pk), headers=HTML)

    assert page.headers["content-type"].startswith("text/html")
    assert "&quot;b0&quot;" in page.text
    assert "Rows by key" in page.text


# Rows that cannot be read


def test_a_row_that_failed_is_named_where_the_reference_goes_on(
    orders: list[Order],
    declare: Any,  # noqa: F811 - the fixture, here and below
    database: Any,  # noqa: F811
    get: Get,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = [str(order.buyer_id) for order in orders]
    for on_error in ("omit", "placeholder"):
        declare(name=f"person-{on_error}", on_error=on_error)
    monkeypatch.setattr(
        References, "references", {"person-omit": ["name"], "person-placeholder": ["name"]}
    )
    for name in References.references:
        get(name, keys[0])
    database.stop()

    answers = [get(name, ",".join(keys)) for name in References.references]

    for answer in answers:
        assert answer.status_code == 200
        assert answer.json()["found"] == {keys[0]: {"name": "b0"}}
        assert answer.json()["failed"] == keys[1:]
        assert answer.json()["absent"] == []


def test_a_row_that_failed_is_503_by_default(
    orders: list[Order],
    declare: Any,  # noqa: F811
    database: Any,  # noqa: F811
    get: Get,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declare()
    monkeypatch.setattr(References, "references", {"person": "__all__"})
    database.stop()

    response = get("person", str(orders[0].buyer_id))

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert "Try again" in response.json()["detail"]


# Importing it


def test_classes_that_the_settings_name_may_use_a_reference_field() -> None:
    """REST framework loads them while it makes the class that ours is made from."""
    code = """
import sys, types
module = types.ModuleType("project_auth")
source = '''
from rest_framework.authentication import BaseAuthentication
from refcache.rest_framework import ReferenceField
class Auth(BaseAuthentication): pass
'''
class Finder:
    def find_spec(self, name, path=None, target=None):
        from importlib.machinery import ModuleSpec
        return ModuleSpec(name, self) if name == "project_auth" else None
    def create_module(self, spec): return None
    def exec_module(self, module): exec(source, module.__dict__)
sys.meta_path.append(Finder())
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["rest_framework", "refcache"],
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": ["project_auth.Auth"]},
)
django.setup()
import rest_framework.views
from refcache.rest_framework import ReferenceView
print([each.__name__ for each in ReferenceView.authentication_classes])
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )

    assert (done.stdout.strip(), done.stderr) == ("['Auth']", "")
