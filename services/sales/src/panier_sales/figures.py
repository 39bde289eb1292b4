"""The figures as they are shown and published: documents of a shop's day. Pure."""

from panier_common.contracts.events import SalesCounted, SalesOfCurrency

from panier_sales.counting import ShopDay, Sold


def average_minor(sold: Sold) -> int:
    """What an order brought on average, in whole minor units, rounded half up; 0 without orders."""
    return (2 * sold.revenue_minor + sold.orders) // (2 * sold.orders) if sold.orders else 0


def document(shop: str, day: str, timezone: str, total: ShopDay) -> dict[str, object]:
    """What `panier sales show` prints."""
    funnel = total.funnel
    return {
        "shop": shop,
        "day": day,
        "timezone": timezone,
        "currencies": [
            {
                "currency": currency,
                "revenue_minor": sold.revenue_minor,
                "orders": sold.orders,
                "items": sold.items,
                "average_minor": average_minor(sold),
            }
            for currency, sold in sorted(total.sold.items())
        ],
        "funnel": {
            "carts": funnel.carts,
            "checkouts": funnel.checkouts,
            "placed": funnel.placed,
            "paid": funnel.paid,
        },
    }


def snapshot(shop: str, day: str, timezone: str, total: ShopDay) -> SalesCounted:
    funnel = total.funnel
    return SalesCounted(
        shop=shop,
        day=day,
        timezone=timezone,
        currencies=tuple(
            SalesOfCurrency(currency, sold.revenue_minor, sold.orders, sold.items)
            for currency, sold in sorted(total.sold.items())
        ),
        carts=funnel.carts,
        checkouts=funnel.checkouts,
        placed=funnel.placed,
        paid=funnel.paid,
    )
