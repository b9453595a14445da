"""The page, and what the health check asks for."""

from django.urls import path

from real import views

urlpatterns = [
    path("orders/", views.OrderPage.as_view(), name="orders"),
    path("health/", views.health, name="health"),
]
