"""That the data is made once, and whole."""

from django.test import TransactionTestCase

from customers.models import Company, Customer
from orders.models import OrderEvent
from shop.data import Sizes, make

SIZES = Sizes(customers=20, events=10, companies=5, devices=5)


class MakeTest(TransactionTestCase):
    """No TestCase: an interrupted transaction has to be rolled back as a whole."""

    databases = ("default", "events")

    def test_interrupted_run_leaves_nothing_behind(self) -> None:
        def interrupt(table: str, _done: int, _total: int) -> None:
            if table == "customers":
                raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            make(SIZES, interrupt)
        self.assertFalse(Company.objects.exists())

    def test_second_run_changes_nothing(self) -> None:
        make(SIZES, lambda *_: None)
        make(Sizes(customers=30, events=30), lambda *_: None)
        self.assertEqual((Customer.objects.count(), OrderEvent.objects.count()), (20, 10))

    def test_progress_ends_at_the_total(self) -> None:
        seen: dict[str, tuple[int, int]] = {}
        make(SIZES, lambda table, done, total: seen.update({table: (done, total)}))
        self.assertEqual(seen["customers"], (20, 20))
        self.assertEqual(seen["lines"], (20, 20))
