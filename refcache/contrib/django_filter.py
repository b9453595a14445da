"""Filters on the fields of references, for django-filter: applied before rows are paginated."""

from typing import TYPE_CHECKING, Any

from django.core.validators import EMPTY_VALUES
from django_filters import CharFilter, Filter

from refcache.registry import references

if TYPE_CHECKING:
    from django.db.models import QuerySet


class ReferenceFilterMixin(Filter):  # type: ignore[misc]  # django-filter is not typed
    """For filter classes: keeps the rows that refer to what fulfils a condition.

        class TierFilter(ReferenceFilterMixin, ChoiceFilter): ...

    One round trip to Redis, or one query where the list of keys is not there; then the condition is
    `key IN (…)` on the rows themselves, so counts and pages are right.

    Args:
        reference: Its name.
        key: The field of the rows that holds the reference's key; one field.
        where: What `keys_where` is to be given the value as, such as "tier" or "tier__in".
    """

    def __init__(self, reference: str, *, key: str, where: str, **kwargs: Any) -> None:
        if not {"field_name", "lookup_expr"}.isdisjoint(kwargs):
            raise TypeError(
                f"{type(self).__name__} takes no field_name and no lookup_expr: give key, and the "
                'lookup in where, as in where="tier__in".'
            )
        super().__init__(field_name=key, **kwargs)
        self.reference = reference
        self.where = where

    def filter(self, rows: "QuerySet[Any]", value: Any) -> "QuerySet[Any]":
        """The rows whose key is one of those for which the condition holds.

        Raises:
            InvalidCondition: The reference does not declare it by `where=[…]`.
            ReferenceUnavailable: Neither cache nor database could answer.
        """
        if value in EMPTY_VALUES:
            return rows
        if value == getattr(self, "null_value", None):  # Of a ChoiceFilter: "those without".
            value = None
        keys = references[self.reference].keys_where(**{self.where: value})
        found: QuerySet[Any] = self.get_method(rows)(**{f"{self.field_name}__in": keys})
        return found


class ReferenceFilter(ReferenceFilterMixin, CharFilter):  # type: ignore[misc]  # as above
    """The same for text: `tier = ReferenceFilter("customer", key="customer_id", where="tier")`."""
