"""The app that lives in database A."""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    """Order events and their lines."""

    name = "orders"
