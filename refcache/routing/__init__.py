"""Which database a query goes to: routers, and what helps to see and to steer what they decide."""

from refcache.routing.instance_router import InstanceRouter
from refcache.routing.prefetching import prefetch_using
from refcache.routing.steps import Decision, Statement
from refcache.routing.tracing import RouterTrace, TracingRouter

__all__ = [
    "Decision",
    "InstanceRouter",
    "RouterTrace",
    "Statement",
    "TracingRouter",
    "prefetch_using",
]
