"""A page whose script joins: what a real browser asks the batch endpoint, and what it keeps."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test.testcases import LiveServerThread
from django.urls import path
from pytest_django import Settings
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from refcache.rest_framework import ReferenceView
from tests.integration.test_browser import LIMIT, Browser, browser  # noqa: F401 - a fixture
from tests.restapp.models import Buyer, Order

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "events"])

PAGE = """<!DOCTYPE html><title>Orders</title><pre id="shown">not yet</pre><script>
const orders = %s;
const url = `/references/buyer/?keys=${orders.map((order) => order.buyer_id).join()}`;
const names = async (how) => {
  const {found, absent} = await (await fetch(url, how)).json();
  return orders.map(({buyer_id: id}) => found[id]?.name ?? (absent.includes(`${id}`) ? "?" : ""));
};
const show = async () => {
  const shown = [await names(), await names(), await names({cache: "no-cache"})];
  document.getElementById("shown").textContent = JSON.stringify(shown);
};
show();
</script>"""


class Noted(ReferenceView):
    permission_classes = [AllowAny]
    references = {"buyer": ["name"]}
    asked: list[tuple[bool, HttpResponse]] = []

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        self.asked.append(("if-none-match" in request.headers, final))
        return final


def page(_: HttpRequest) -> HttpResponse:
    orders = [*Order.objects.values("buyer_id"), {"buyer_id": 10**9}, {"buyer_id": None}]
    return HttpResponse(PAGE % json.dumps(orders))


urlpatterns = [path("", page), path("references/<str:name>/", Noted.as_view())]


class Handler(WSGIHandler):
    """Serves no static files."""

    def __init__(self, _: object) -> None:
        super().__init__()


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    """Of a server in a thread, which is this process's."""
    settings.ROOT_URLCONF = __name__
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    server = LiveServerThread("127.0.0.1", Handler)
    server.daemon = True
    server.start()
    server.is_ready.wait(LIMIT)
    assert server.error is None
    yield f"http://127.0.0.1:{server.port}/"
    server.terminate()


@pytest.mark.usefixtures("orders")
def test_a_browser_joins_keeps_the_answer_and_has_it_confirmed(
    browser: Browser,  # noqa: F811 - the fixture
    address: str,
) -> None:
    Noted.asked.clear()
    Buyer.objects.filter(name="b2").update(name="Zoë & Co")

    shown = browser._run(address, "--dump-dom", "--virtual-time-budget=20000")

    joined = ["b0", "b1", "Zoë &amp; Co", "?", ""]
    assert json.dumps([joined] * 3, ensure_ascii=False, separators=(",", ":")) in shown
    # The second was the browser's own.
    assert [was_known for was_known, _ in Noted.asked] == [False, True]
