"""The same page of orders, shown in several ways."""

from django.urls import include, path

from orders import views

urlpatterns = [
    path("", views.index, name="index"),
    path("naive/", views.NaiveView.as_view(), name="naive"),
    path("whole-table/", views.WholeTableView.as_view(), name="whole-table"),
    path("page-context/", views.PageContextView.as_view(), name="page-context"),
    path("refcache/", views.RefcacheView.as_view(), name="refcache"),
    path("refcache-context/", views.RefcacheContextView.as_view(), name="refcache-context"),
    path("nested/", views.NestedView.as_view(), name="nested"),
    path("patterns/", include("patterns.urls")),
]
