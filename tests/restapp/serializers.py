"""Orders as the tests show them."""

from typing import Any

from rest_framework import serializers

from refcache.rest_framework import ReferenceField
from tests.restapp.models import Line, Order, Part, Represented, Shop


class PartSerializer(serializers.ModelSerializer[Part]):
    spot = ReferenceField("spot", key=("site", "number"), field="label")

    class Meta:
        model = Part
        fields = ["site", "number", "spot"]


class LineSerializer(serializers.ModelSerializer[Line]):
    gadget = ReferenceField("gadget", key="gadget_id", field="serial")

    class Meta:
        model = Line
        fields = ["gadget_id", "gadget"]


class DeepLineSerializer(LineSerializer):
    parts = PartSerializer(many=True)

    class Meta(LineSerializer.Meta):
        fields = ["gadget", "parts"]


class ShopSerializer(serializers.ModelSerializer[Shop]):
    gadget = ReferenceField("gadget", key="gadget_id", field="serial")

    class Meta:
        model = Shop
        fields = ["name", "gadget"]


class OrderSerializer(serializers.ModelSerializer[Order]):
    """Two references, one of them in two fields."""

    buyer = ReferenceField("buyer", key="buyer_id")
    buyer_name = ReferenceField("buyer", key="buyer_id", field="name")
    gadget = ReferenceField("gadget", key="gadget_id", field="serial")

    class Meta:
        model = Order
        fields = ["id", "buyer_id", "gadget_id", "buyer", "buyer_name", "gadget"]


class OrderWithShopSerializer(OrderSerializer):
    shop = ShopSerializer()

    class Meta(OrderSerializer.Meta):
        fields = ["buyer_name", "gadget", "shop"]


class OrderWithLinesSerializer(OrderSerializer):
    lines = LineSerializer(many=True)

    class Meta(OrderSerializer.Meta):
        fields = ["buyer_name", "gadget", "lines"]


class DeepOrderSerializer(OrderSerializer):
    lines = DeepLineSerializer(many=True)

    class Meta(OrderSerializer.Meta):
        fields = ["buyer_name", "lines"]


class ByHandSerializer(serializers.ModelSerializer[Order]):
    """Serializes the lines of each order by a serializer of their own."""

    lines = serializers.SerializerMethodField()

    class Meta:
        model = Order
        fields = ["lines"]

    def get_lines(self, order: Order) -> Any:
        return LineSerializer(order.lines.all(), many=True, context=self.context).data


class BuyerAndByHandSerializer(ByHandSerializer):
    buyer_name = ReferenceField("buyer", key="buyer_id", field="name")

    class Meta(ByHandSerializer.Meta):
        fields = ["buyer_name", "lines"]


class ContextSerializer(serializers.ModelSerializer[Order]):
    """Reads the context itself, as code for get_serializer_context() does."""

    buyer_name = serializers.SerializerMethodField()

    class Meta:
        model = Order
        fields = ["id", "buyer_name"]

    def get_buyer_name(self, order: Order) -> str | None:
        buyer = self.context["buyers"].get(order.buyer_id)
        return buyer.name if buyer else None


class RepresentedSerializer(serializers.ModelSerializer[Represented]):
    class Meta:
        model = Represented
        fields = [
            "binary", "choice", "date", "datetime", "decimal", "doubled", "duration", "dates",
            "file", "flag", "floating", "gadget", "json", "text", "time", "uuid",
        ]  # fmt: skip


class RangeSerializer(serializers.ModelSerializer[Represented]):
    shown = ReferenceField("range", key="pk", field="span")

    class Meta:
        model = Represented
        fields = ["span", "shown"]
