"""A page for each pattern, named like it."""

from importlib import import_module
from importlib.util import find_spec

from django.urls import path, reverse
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from patterns import foreign, views_context, views_database, views_refcache

PAGES = {
    "naive": views_context.NaiveView.as_view(),
    "whole-table": views_context.WholeTableView.as_view(),
    "active-only": views_context.ActiveOnlyView.as_view(),
    "page-keys": views_context.PageKeysView.as_view(),
    "needed-fields": views_context.NeededFieldsView.as_view(),
    "composite-keys": views_context.CompositeKeysView.as_view(),
    "degradation": views_context.DegradationView.as_view(),
    "loud-failure": views_context.LoudFailureView.as_view(),
    "cached-blob": views_context.CachedBlobView.as_view(),
    "filter-after": views_database.FilterAfterView.as_view(),
    "denormalised": views_database.DenormalisedView.as_view(),
    "foreign-join": views_database.ForeignJoinView.as_view(),
    "materialised-view": views_database.MaterialisedViewView.as_view(),
    "batch-endpoint": views_refcache.PlainIdsView.as_view(),
    "reference-field": views_refcache.ReferenceFieldView.as_view(),
    "reference-context": views_refcache.ReferenceContextView.as_view(),
    "reference-descriptor": views_refcache.DescriptorView.as_view(),
    "reference-composite": views_refcache.ReferenceAgreementView.as_view(),
    "keys-where": views_refcache.KeysWhereView.as_view(),
}
NEED_POSTGRESQL = {"foreign-join", "materialised-view"}
# The demo runs without it.
if find_spec("strawberry"):
    graphql = import_module("patterns.graphql")
    PAGES |= {
        "dataloader": graphql.dataloader,
        "reference-dataloader": graphql.reference_dataloader,
    }


@api_view()
def index(request: Request) -> Response:
    """The same 100 orders on each page; its header X-Cost says what the page took."""
    shown = [name for name in PAGES if name not in NEED_POSTGRESQL or foreign.is_possible()]
    return Response({name: request.build_absolute_uri(reverse(name + "-page")) for name in shown})


urlpatterns = [
    path("", index, name="patterns"),
    *(path(f"{name}/", view, name=f"{name}-page") for name, view in PAGES.items()),
    path("customers/<int:pk>/", views_database.CustomerView.as_view()),
    path("references/<str:name>/", views_refcache.BatchView.as_view()),
]
