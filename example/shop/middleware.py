"""Each response says what it took."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from shop.metering import Cost, measured


class CostHeader:
    """Sets the header X-Cost."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with measured() as request.cost:
            response = self.get_response(request)
        response.headers.setdefault("X-Cost", str(request.cost))
        return response

    def process_template_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        """Set it before REST framework's browsable page shows the headers."""
        cost: Cost = request.cost
        response.headers["X-Cost"] = str(cost)
        return response
