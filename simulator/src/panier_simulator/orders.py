"""Messages about orders paid in the chat: order_details and order_status, with Meta's sums. Pure."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from panier_simulator.interactive import Body, Footer, Header, Part, Upto60, Upto120

REFERENCE_LENGTHS = {"INR": 35, "BRL": 60}

Reference = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=re.compile(r"^[A-Za-z0-9_.-]+$"))]


class Amount(Part):
    value: int = Field(ge=0)
    offset: Literal[100]
    description: Upto60 | None = None
    discount_program_name: Upto60 | None = None


class Item(Part):
    retailer_id: str | None = None
    name: Upto60
    amount: Amount
    quantity: int = Field(ge=1)
    sale_amount: Amount | None = None
    country_of_origin: str | None = None
    importer_name: str | None = None
    importer_address: dict[str, Any] | None = None

    @property
    def total(self) -> int:
        return (self.sale_amount or self.amount).value * self.quantity


class Expiration(Part):
    timestamp: str
    description: str | None = None


class Order(Part):
    status: Literal["pending"]
    type: str | None = None
    catalog_id: str | None = None
    expiration: Expiration | None = None
    items: list[Item] = Field(min_length=1)
    subtotal: Amount
    tax: Amount
    shipping: Amount | None = None
    discount: Amount | None = None

    @property
    def total(self) -> int:
        shipping = self.shipping.value if self.shipping else 0
        discount = self.discount.value if self.discount else 0
        return self.subtotal.value + self.tax.value + shipping - discount

    @model_validator(mode="after")
    def adds_up(self) -> "Order":
        if self.subtotal.value != sum(item.total for item in self.items):
            raise ValueError("subtotal is not the sum of the items")
        return self


class DetailsParameters(Part):
    reference_id: Reference
    type: Literal["digital-goods", "physical-goods"]
    payment_type: Literal["br", "upi", "p2m-lite:razorpay", "p2m-lite:payu"] | None = None
    payment_configuration: str | None = None
    payment_settings: list[dict[str, Any]] | None = None
    currency: Literal["BRL", "INR"]
    total_amount: Amount
    order: Order

    @model_validator(mode="after")
    def total_and_reference(self) -> "DetailsParameters":
        if self.total_amount.value != self.order.total:
            raise ValueError("total_amount is not subtotal + tax + shipping - discount")
        if len(self.reference_id) > REFERENCE_LENGTHS[self.currency]:
            raise ValueError(
                f"reference_id holds at most {REFERENCE_LENGTHS[self.currency]} characters in {self.currency}"
            )
        return self


class DetailsAction(Part):
    name: Literal["review_and_pay"]
    parameters: DetailsParameters


class OrderDetails(Part):
    type: Literal["order_details"]
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: DetailsAction


class OrderState(Part):
    status: Literal["pending", "processing", "partially-shipped", "shipped", "completed", "canceled"]
    description: Upto120 | None = None


class PaymentState(Part):
    status: Literal["pending", "captured", "failed"]
    timestamp: int | str | None = None


class StatusParameters(Part):
    reference_id: Reference
    order: OrderState
    payment: PaymentState | None = None


class StatusAction(Part):
    name: Literal["review_order"]
    parameters: StatusParameters


class OrderStatus(Part):
    type: Literal["order_status"]
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: StatusAction
