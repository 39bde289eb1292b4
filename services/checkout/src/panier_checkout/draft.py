"""What the customer is about to order: the questions, the answers, and when it may be confirmed.

A conversation has at most one draft. Its id is given anew with every summary, so that the button of an
older summary can never confirm something the customer did not read.
"""

from datetime import datetime
from typing import Literal, TypeAlias
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from panier_common.contracts.events import Address, CheckoutRequested, Customer, Line, StockRefused
from panier_common.shown import OLD_AFTER

from panier_checkout.fulfilment import Way, WayName

ADDRESS_LIMIT = 1000

_ORDERS = UUID("b1c1f8d2-5f5e-5a43-8f5c-9a2f6a1d7e10")

# frozen: confirmed, until the answer about its stock.
Stage: TypeAlias = Literal["way", "address", "summary", "frozen"]


class Confirmed(Struct, frozen=True):
    """The press on confirm: what the order is caused by, and what its answers answer."""

    wamid: str
    at: datetime


class _Form(Struct, frozen=True):
    """Meta's `nfm_reply.response_json` of an address message: field names to what was written."""

    values: dict[str, object] = {}


class Draft(Struct, frozen=True):
    """`asked_at` is when the present question was asked; `draft_id` is empty before the first summary."""

    cart_id: str
    cart_version: int
    shop: str
    phone_number_id: str
    customer: Customer
    lines: tuple[Line, ...]
    currency: str
    note: str
    asked_at: datetime
    stage: Stage = "way"
    draft_id: str = ""
    way: WayName = "collect"
    fee_minor: int = 0
    address: Address | None = None
    confirmed: Confirmed | None = None

    @property
    def goods_minor(self) -> int:
        return sum(line.total_minor for line in self.lines)

    @property
    def total_minor(self) -> int:
        return self.goods_minor + self.fee_minor


def order_id_of(draft_id: str) -> str:
    """The order that the draft becomes, whoever asks and however often."""
    return str(uuid5(_ORDERS, draft_id))


def draft_id_of(cause: str) -> str:
    """The id of the draft whose summary that record causes."""
    return str(uuid5(NAMESPACE_OID, f"panier draft {cause}"))


def opened(request: CheckoutRequested) -> Draft:
    """A new draft, waiting for the way."""
    return Draft(
        cart_id=request.cart_id,
        cart_version=request.version,
        shop=request.shop,
        phone_number_id=request.phone_number_id,
        customer=request.customer,
        lines=request.lines,
        currency=request.currency,
        note=request.note,
        asked_at=request.at,
    )


def asking_way(draft: Draft, at: datetime) -> Draft:
    return replace(draft, stage="way", asked_at=at, fee_minor=0, address=None, confirmed=None)


def asking_address(draft: Draft, way: Way, at: datetime) -> Draft:
    return replace(draft, stage="address", asked_at=at, way=way.name, fee_minor=way.fee_minor, address=None)


def summarised(draft: Draft, way: Way, address: Address | None, draft_id: str, at: datetime) -> Draft:
    """Ready to be confirmed under this id."""
    return replace(
        draft,
        stage="summary",
        asked_at=at,
        draft_id=draft_id,
        way=way.name,
        fee_minor=way.fee_minor,
        address=address,
        confirmed=None,
    )


def frozen(draft: Draft, confirmed: Confirmed) -> Draft:
    return replace(draft, stage="frozen", confirmed=confirmed)


def is_stale(draft: Draft, at: datetime) -> bool:
    """Whether the present question was asked too long before `at`."""
    return at - draft.asked_at > OLD_AFTER


def waits_for_address(draft: Draft | None, at: datetime) -> bool:
    return draft is not None and draft.stage == "address" and not is_stale(draft, at)


def frozen_as(draft: Draft | None, order_id: str) -> Draft | None:
    """The draft, if it waits for the answer about the stock of just this order."""
    if draft is None or draft.stage != "frozen" or order_id_of(draft.draft_id) != order_id:
        return None
    return draft


def form_address(response: str) -> str:
    """The filled-in fields of an address form as one text, empty when it has none that can be read."""
    try:
        values = msgspec.json.decode(response.encode(), type=_Form).values
    except (msgspec.DecodeError, UnicodeEncodeError):
        return ""
    written = ", ".join(value.strip() for value in values.values() if isinstance(value, str) and value.strip())
    return written.replace("\x00", "\ufffd")  # the door read the form as one text: PostgreSQL would refuse it


def repriced(draft: Draft, refused: StockRefused) -> Draft:
    """The draft at the prices the catalogue has now."""
    today = {line.sku: line.unit_minor for line in refused.repriced if line.unit_minor is not None}
    lines = tuple(replace(line, unit_minor=today.get(line.sku, line.unit_minor)) for line in draft.lines)
    return replace(draft, lines=lines)
