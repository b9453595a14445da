"""Which database holds what of this app."""

from tests.restapp.routers import AppRouter


class RelationsRouter(AppRouter):
    label = "relations"
    events = frozenset({"batch", "proxiedvisit", "task", "urgentvisit", "visit"})
