"""What each page may cost, and that all of them show the same."""

from collections import Counter
from typing import Any

from django.test import TransactionTestCase

from customers.models import Company, Customer, Device
from orders.views import PAGES
from refcache import references
from shop.data import Sizes, make
from shop.metering import Cost, measured

FLAT_PAGES = [page for page in PAGES if page != "nested"]


class PagesTest(TransactionTestCase):
    """No TestCase: nothing is cached within the transaction that it would run each test in."""

    databases = ("default", "events")

    def setUp(self) -> None:
        make(Sizes(customers=60, events=100, companies=5, devices=40), advance=lambda *_: None)
        self.forget()
        self.addCleanup(self.forget)

    def test_all_pages_show_the_same(self) -> None:
        naive, *others = [self.results(page) for page in FLAT_PAGES]
        for page, results in zip(FLAT_PAGES[1:], others, strict=True):
            with self.subTest(page):
                self.assertEqual(results, naive)

    def test_naive_page_asks_twice_for_each_row(self) -> None:
        self.assertCost("naive", events=1, customers=200, round_trips=0)

    def test_context_pages_ask_once_for_each_table(self) -> None:
        self.assertCost("whole-table", events=1, customers=2, round_trips=0)
        self.assertCost("page-context", events=1, customers=2, round_trips=0)

    def test_warm_page_is_one_query_and_one_round_trip(self) -> None:
        self.results("refcache")
        self.assertCost("refcache", events=1, customers=0, round_trips=1)

    def test_warm_context_is_one_query_and_one_round_trip(self) -> None:
        self.results("refcache-context")
        self.assertCost("refcache-context", events=1, customers=0, round_trips=1)

    def test_relation_of_a_reference_is_one_more_round_trip(self) -> None:
        self.results("nested")
        self.assertCost("nested", events=2, customers=0, round_trips=2)

    def test_new_name_is_on_the_next_page(self) -> None:
        customer_id = self.results("refcache")[0]["customer_id"]
        customer = Customer.objects.get(pk=customer_id)
        customer.name, customer.is_active = "Renamed", True
        customer.save()
        self.assertEqual(self.results("refcache")[0]["customer_name"], "Renamed")

    def test_new_company_name_is_on_the_next_page(self) -> None:
        customer_id = self.results("nested")[0]["customer_id"]
        customer = Customer.objects.get(pk=customer_id)
        customer.is_active = True
        customer.save()
        company = Company.objects.get(customers=customer_id)
        company.name = "Renamed"
        company.save()
        self.assertEqual(self.results("nested")[0]["company_name"], "Renamed")

    def test_inactive_customer_is_unknown_on_the_next_page(self) -> None:
        customer_id = self.results("refcache")[0]["customer_id"]
        customer = Customer.objects.get(pk=customer_id)
        customer.is_active = False
        customer.save()
        self.assertEqual(
            self.results("refcache")[0]["customer"],
            {"name": f"Unknown Customer (ID: {customer_id})", "tier": None},
        )

    def test_deleted_device_is_nothing_on_the_next_page(self) -> None:
        device_id = self.results("refcache")[0]["device_id"]
        Device.objects.filter(pk=device_id).delete()
        self.assertIsNone(self.results("refcache")[0]["device"])

    def assertCost(  # noqa: N802 - unittest's way
        self, page: str, *, events: int, customers: int, round_trips: int
    ) -> None:
        with measured() as cost:
            self.results(page)
        queries = Counter({"events": events, "default": customers})
        self.assertEqual(cost, Cost(queries, round_trips))

    def results(self, page: str) -> list[dict[str, Any]]:
        response = self.client.get(f"/{page}/", headers={"accept": "application/json"})
        return response.json()["results"]

    @staticmethod
    def forget() -> None:
        for name in ("customer", "device", "account"):
            references[name].invalidate_all()
