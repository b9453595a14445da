"""A batch endpoint, for front ends that join on their side: a window on the read flow."""

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.utils.cache import get_conditional_response, patch_vary_headers
from rest_framework import status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ALL_FIELDS, Serializer
from rest_framework.views import APIView

from refcache.core.exceptions import InvalidReference, ReferenceUnavailable
from refcache.core.keys import Key
from refcache.reading.planning import Plan
from refcache.registry import references as registry
from refcache.rest_framework.batch import Batch
from refcache.rest_framework.spelling import asked_keys
from refcache.rest_framework.unavailable import Unavailable

REFUSED = "This view has no permission_classes, so that nobody may read it."


class ReferenceView(APIView):
    """`GET …/customer/?keys=1,2,3`: rows by key, in one read.

    Routed with the reference's name as `name`: `path("references/<str:name>/", ...)`. Only what is
    listed is exposed, and nobody may read it unless `permission_classes` are given, whatever the
    project's default is; `[AllowAny]` opens it to all.

    Args:
        references: The fields that may be read, by the references' names; "__all__": all that are
            declared.
        max_keys: How many keys one request may ask for.
        max_age: For how many seconds a client may keep the answer; 0: it asks each time. None: for
            what is left of the declared `ttl`, or `negative_ttl`.
        is_public: Whether caches that users share, such as a CDN, may keep it, too.
    """

    references: ClassVar[Mapping[str, Sequence[str]]] = {}
    permission_classes: Sequence[Any] = ()
    max_keys: ClassVar[int] = 100
    max_age: ClassVar[float | None] = None
    is_public: ClassVar[bool] = False
    description: ClassVar[str] = "Rows by key, as in ?keys=1,2,3."  # The browsable API shows it.

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view.

        Raises:
            UnknownReference: It exposes one that is not registered.
            InvalidReference: It exposes none, or a field that its reference does not declare.
            ImproperlyConfigured: It is public, and not for all.
        """
        view = super().as_view(**initkwargs)
        _check(cls(**initkwargs))
        return view

    def check_permissions(self, request: Request) -> None:
        if not self.get_permissions():
            self.permission_denied(request, REFUSED)
        super().check_permissions(request)

    def get(self, request: Request, name: str, **_: Any) -> Response:
        """Rows by key, for clients that join on their side."""
        if name not in self.references:
            known = ", ".join(self.references)
            raise NotFound(f"No reference {name!r} can be read here (known: {known}).")
        plan = registry.plan(name)
        fields = self._fields(request, name)
        keys = self._keys(request, plan)
        try:
            found = registry[name].lookup(keys.values(), on_missing="omit")
        except ReferenceUnavailable as exc:
            raise Unavailable from exc
        answer = Batch(plan, keys, found)
        shower: Serializer[Any] = Serializer(context={"request": request, "view": self})
        return self._cached(request, Response(answer.body(fields, shower)), answer)

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        if final.status_code >= status.HTTP_400_BAD_REQUEST:
            final.headers.setdefault("Cache-Control", "no-store")
        return final

    def exposed(self, name: str) -> list[str]:
        """The fields of that reference that may be read, in the order of their declaration."""
        declared = registry.plan(name).declaration.fields
        listed = self.references[name]
        return [field for field in declared if listed == ALL_FIELDS or field in listed]

    def _fields(self, request: Request, name: str) -> list[str]:
        exposed = self.exposed(name)
        values = request.query_params.getlist("fields")
        asked = [field for value in values for field in value.split(",")]
        if unknown := [field for field in asked if field not in exposed]:
            known = ", ".join(exposed)
            raise ValidationError({"fields": [f"No field {unknown[0]!r} (known: {known})."]})
        return [field for field in exposed if field in asked] if asked else exposed

    def _keys(self, request: Request, plan: Plan) -> dict[str, Key]:
        names = ",".join(plan.key_names)
        is_single = len(plan.key_names) == 1
        example = "as in ?keys=1,2,3" if is_single else f"as in ?keys=[[{names}],[{names}]]"
        if "keys" not in request.query_params:
            raise ValidationError({"keys": [f"Give the keys of the rows, {example}."]})
        try:
            keys = asked_keys(request.query_params.getlist("keys"))
        except ValueError as exc:
            message = f"This is no JSON list of keys: {exc}. Give keys {example}."
            raise ValidationError({"keys": [message]}) from exc
        if len(keys) > self.max_keys:
            raise ValidationError(
                {"keys": [f"{len(keys)} keys are too many: ask for at most {self.max_keys}."]}
            )
        return keys

    def _cached(self, request: Request, response: Response, answer: Batch) -> Response:
        if not self.is_public:  # Who may read is told by these.
            patch_vary_headers(response, ["Cookie", "Authorization"])
        if answer.failed:
            response.headers["Cache-Control"] = "no-store"
            return response
        scope = "public" if self.is_public else "private"
        lifetime = "no-cache" if answer.stale else answer.lifetime(self.max_age)
        response.headers["Cache-Control"] = f"{scope}, {lifetime}"
        response.add_post_render_callback(partial(_conditional, request))
        return response


def _conditional(request: Request, response: Response) -> Any:
    """The response with its entity tag; 304 for a client that has it already."""
    tag = blake2b(response.content, digest_size=16).hexdigest()
    response.headers["ETag"] = f'"{tag}"'
    return get_conditional_response(request, response.headers["ETag"], response=response)


def _check(view: ReferenceView) -> None:
    title = type(view).__name__
    if not view.references or not isinstance(view.references, Mapping):
        raise InvalidReference(
            f'{title} exposes nothing: give it references={{"customer": ["name"]}}.'
        )
    declared = {each.name: each.fields for each in registry.declarations()}
    for name, listed in view.references.items():
        _ = registry[name]
        # The checks tell what is wrong with a reference that is in error.
        if listed != ALL_FIELDS and name in declared:
            _check_fields(title, name, listed, declared[name])
    if view.is_public and list(view.permission_classes) != [AllowAny]:
        raise ImproperlyConfigured(
            f"{title} is public: caches answer without asking its permission_classes. Give "
            "[AllowAny], or leave is_public out."
        )


def _check_fields(title: str, name: str, listed: object, declared: Sequence[str]) -> None:
    if isinstance(listed, Sequence) and not isinstance(listed, str):
        unknown = [field for field in listed if field not in declared]
    else:
        unknown = [listed]
    if unknown:
        raise InvalidReference(
            f"{title} exposes {unknown[0]!r} of {name!r}, which declares no such field (known: "
            f'{", ".join(declared)}). Give a list of them, or "{ALL_FIELDS}".'
        )
