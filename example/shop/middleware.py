"""Each response says what it took."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from shop.metering import measured


def cost_header(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Set the header X-Cost."""

    def count(request: HttpRequest) -> HttpResponse:
        with measured() as cost:
            response = get_response(request)
        response.headers["X-Cost"] = str(cost)
        return response

    return count
