"""Interactive messages as Meta's documentation bounds them: one model per kind. Pure; knows no shop.

Limits come from Meta's pages on each kind and are checked by Meta's own request examples in the tests.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator


class Part(BaseModel):
    """A piece of a request: a key that Meta does not know is refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


# Texts of at least one character.
Upto20 = Annotated[str, StringConstraints(min_length=1, max_length=20)]
Upto24 = Annotated[str, StringConstraints(min_length=1, max_length=24)]
Upto30 = Annotated[str, StringConstraints(min_length=1, max_length=30)]
Upto40 = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Upto60 = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Upto100 = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Upto120 = Annotated[str, StringConstraints(min_length=1, max_length=120)]
Upto160 = Annotated[str, StringConstraints(min_length=1, max_length=160)]
Upto200 = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Upto256 = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Upto512 = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Upto1000 = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Upto1024 = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Upto4096 = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Link = Annotated[str, StringConstraints(pattern=re.compile(r"^https?://[^\s/$.?#][^\s]*$"), max_length=2000)]


def unique(values: list[str], what: str) -> None:
    if len(set(values)) != len(values):
        raise ValueError(f"Duplicated {what}: every {what} must be unique")


class Media(Part):
    """A file to show: uploaded before (`id`) or fetched from a `link`, one of the two."""

    id: str | None = None
    link: Link | None = None
    caption: Annotated[str, StringConstraints(max_length=1024)] | None = None
    filename: str | None = None
    voice: bool | None = None
    provider: str | dict[str, Any] | None = None

    @model_validator(mode="after")
    def one_source(self) -> "Media":
        if (self.id is None) == (self.link is None):
            raise ValueError("Exactly one of id and link is required")
        return self


class Header(Part):
    type: Literal["text", "image", "video", "document"]
    text: Upto60 | None = None
    sub_text: Upto60 | None = None
    image: Media | None = None
    video: Media | None = None
    document: Media | None = None

    @model_validator(mode="after")
    def holds_what_it_says(self) -> "Header":
        if getattr(self, self.type) is None:
            raise ValueError(f"A header of type {self.type} needs {self.type}")
        return self


class TextHeader(Part):
    type: Literal["text"]
    text: Upto60


class Body(Part):
    text: Upto1024


class LongBody(Part):
    text: Upto4096


class Footer(Part):
    text: Upto60


class Reply(Part):
    id: Upto256
    title: Upto20


class Button(Part):
    type: Literal["reply"]
    reply: Reply


class ButtonAction(Part):
    buttons: list[Button] = Field(min_length=1, max_length=3)

    @model_validator(mode="after")
    def distinct(self) -> "ButtonAction":
        unique([button.reply.title for button in self.buttons], "button title")
        unique([button.reply.id for button in self.buttons], "button id")
        return self


class ButtonMessage(Part):
    type: Literal["button"]
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: ButtonAction


class Row(Part):
    id: Upto200
    title: Upto24
    description: Annotated[str, StringConstraints(max_length=72)] | None = None


class ListSection(Part):
    title: Upto24 | None = None
    rows: list[Row] = Field(min_length=1)


class ListAction(Part):
    button: Upto20
    sections: list[ListSection] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def ten_rows(self) -> "ListAction":
        rows = [row for section in self.sections for row in section.rows]
        if len(rows) > 10:
            raise ValueError("Total row count exceeds max allowed count: 10")
        if len(self.sections) > 1 and not all(section.title for section in self.sections):
            raise ValueError("A section title is required when there is more than one section")
        unique([row.id for row in rows], "row id")
        return self


class ListMessage(Part):
    type: Literal["list"]
    header: TextHeader | None = None
    body: LongBody
    footer: Footer | None = None
    action: ListAction


class LinkParameters(Part):
    display_text: Upto20
    url: Link


class LinkAction(Part):
    name: Literal["cta_url"]
    parameters: LinkParameters


class LinkMessage(Part):
    type: Literal["cta_url"]
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: LinkAction


class ProductAction(Part):
    catalog_id: Upto100
    product_retailer_id: Upto100


class ProductMessage(Part):
    type: Literal["product"]
    body: Body | None = None
    footer: Footer | None = None
    action: ProductAction


class ProductItem(Part):
    product_retailer_id: Upto100


class ProductSection(Part):
    title: Upto24 | None = None
    product_items: list[ProductItem] = Field(min_length=1)


class ProductListAction(Part):
    catalog_id: Upto100
    sections: list[ProductSection] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def thirty_products(self) -> "ProductListAction":
        if sum(len(section.product_items) for section in self.sections) > 30:
            raise ValueError("Total product count exceeds max allowed count: 30")
        if len(self.sections) > 1 and not all(section.title for section in self.sections):
            raise ValueError("A section title is required when there is more than one section")
        return self


class ProductListMessage(Part):
    type: Literal["product_list"]
    header: TextHeader
    body: Body
    footer: Footer | None = None
    action: ProductListAction


class Thumbnail(Part):
    thumbnail_product_retailer_id: Upto100 | None = None


class CatalogAction(Part):
    name: Literal["catalog_message"]
    parameters: Thumbnail | None = None


class CatalogMessage(Part):
    type: Literal["catalog_message"]
    body: Body
    footer: Footer | None = None
    action: CatalogAction


class CardBody(Part):
    text: Upto160

    @model_validator(mode="after")
    def two_breaks(self) -> "CardBody":
        if self.text.count("\n") > 2:
            raise ValueError("A card body holds at most 2 line breaks")
        return self


class Card(Part):
    card_index: int = Field(ge=0, le=9)
    type: Literal["product", "cta_url"]
    header: Header | None = None
    body: CardBody | None = None
    action: ProductAction | LinkAction

    @model_validator(mode="after")
    def action_of_its_type(self) -> "Card":
        if isinstance(self.action, ProductAction) != (self.type == "product"):
            raise ValueError(f"The action does not fit a card of type {self.type}")
        if self.type == "cta_url" and (self.header is None or self.header.type not in ("image", "video")):
            raise ValueError("A link card needs an image or video header")
        return self


class CarouselAction(Part):
    cards: list[Card] = Field(min_length=2, max_length=10)

    @model_validator(mode="after")
    def alike(self) -> "CarouselAction":
        if len({(card.type, card.header.type if card.header else None) for card in self.cards}) > 1:
            raise ValueError("All cards of a carousel have the same type and the same header type")
        unique([str(card.card_index) for card in self.cards], "card_index")
        return self


class CarouselMessage(Part):
    type: Literal["carousel"]
    body: Body
    action: CarouselAction


class FlowParameters(Part):
    flow_message_version: str
    flow_id: str | None = None
    flow_name: str | None = None
    flow_cta: Upto30
    flow_token: str | None = None
    mode: Literal["draft", "published"] | None = None
    flow_action: Literal["navigate", "data_exchange"] | None = None
    flow_action_payload: dict[str, Any] | None = None

    @model_validator(mode="after")
    def one_flow(self) -> "FlowParameters":
        if (self.flow_id is None) == (self.flow_name is None):
            raise ValueError("Exactly one of flow_id and flow_name is required")
        return self


class FlowAction(Part):
    name: Literal["flow"]
    parameters: FlowParameters


class FlowMessage(Part):
    type: Literal["flow"]
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: FlowAction


class LocationAction(Part):
    name: Literal["send_location"]


class LocationRequest(Part):
    type: Literal["location_request_message"]
    body: Body
    action: LocationAction


class ContactAction(Part):
    name: Literal["request_contact_info"]


class ContactRequest(Part):
    type: Literal["contact_request"]
    body: Body
    action: ContactAction


class AddressParameters(Part):
    country: Literal["IN"]  # the only country that Meta still serves
    values: dict[str, Any] | None = None
    saved_addresses: list[dict[str, Any]] | None = None
    validation_errors: dict[str, Any] | None = None


class AddressAction(Part):
    name: Literal["address_message"]
    parameters: AddressParameters


class AddressMessage(Part):
    type: Literal["address_message"]
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: AddressAction
