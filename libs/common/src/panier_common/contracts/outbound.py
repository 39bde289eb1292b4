"""What can be said to a customer: channel-neutral messages that WhatsApp would not refuse.

Each class enforces Meta's limits when it is built (sources: the Cloud API's pages on each message kind and
Meta's OpenAPI file v23.0), so a message that breaks one cannot be requested. The sender renders them.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self, TypeAlias

import msgspec
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter, model_validator

TEXT_LIMIT = 4096
BODY_LIMIT = 1024
BUTTON_TITLE_LIMIT = 20
ROW_TITLE_LIMIT = 24
ROW_DESCRIPTION_LIMIT = 72
SECTION_TITLE_LIMIT = 24
MAX_BUTTONS = 3
MAX_ROWS = 10
MAX_SECTIONS = 10
MAX_PRODUCTS = 30
FILE_LIMIT = 512 * 1024
"""Of a file inside a message: it travels through Kafka and the journal."""

Body: TypeAlias = Annotated[str, Field(min_length=1, max_length=BODY_LIMIT)]
Header: TypeAlias = Annotated[str, Field(min_length=1, max_length=60)]
Footer: TypeAlias = Annotated[str, Field(min_length=1, max_length=60)]
ButtonTitle: TypeAlias = Annotated[str, Field(min_length=1, max_length=BUTTON_TITLE_LIMIT)]
SectionTitle: TypeAlias = Annotated[str, Field(min_length=1, max_length=SECTION_TITLE_LIMIT)]
Sku: TypeAlias = Annotated[str, Field(min_length=1, max_length=100)]


def clip(text: str, limit: int) -> str:
    """The text, shortened to the limit with an ellipsis: for names that shops chose, never for amounts."""
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


class Part(BaseModel):
    """The parent of all: frozen, and no field that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReplyButton(Part):
    id: Annotated[str, Field(min_length=1, max_length=200)]
    title: ButtonTitle


class Row(Part):
    id: Annotated[str, Field(min_length=1, max_length=200)]
    title: Annotated[str, Field(min_length=1, max_length=ROW_TITLE_LIMIT)]
    description: Annotated[str, Field(max_length=ROW_DESCRIPTION_LIMIT)] = ""


class Section(Part):
    title: Annotated[str, Field(max_length=SECTION_TITLE_LIMIT)] = ""
    rows: Annotated[tuple[Row, ...], Field(min_length=1, max_length=MAX_ROWS)]


class ProductSection(Part):
    title: SectionTitle
    skus: Annotated[tuple[Sku, ...], Field(min_length=1, max_length=MAX_PRODUCTS)]


class TextMessage(Part):
    kind: Literal["text"] = "text"
    body: Annotated[str, Field(min_length=1, max_length=TEXT_LIMIT)]
    preview_url: bool = False


class ButtonsMessage(Part):
    """Up to three reply buttons with unique ids and titles."""

    kind: Literal["buttons"] = "buttons"
    body: Body
    buttons: Annotated[tuple[ReplyButton, ...], Field(min_length=1, max_length=MAX_BUTTONS)]
    header: Header | None = None
    footer: Footer | None = None

    @model_validator(mode="after")
    def _unique(self) -> Self:
        if len({b.title for b in self.buttons}) < len(self.buttons):
            raise ValueError("two buttons have the same title")
        if len({b.id for b in self.buttons}) < len(self.buttons):
            raise ValueError("two buttons have the same id")
        return self


class ListMessage(Part):
    """A button that opens sections of rows: ten rows over all sections, unique ids."""

    kind: Literal["list"] = "list"
    body: Body
    button: ButtonTitle
    sections: Annotated[tuple[Section, ...], Field(min_length=1, max_length=MAX_SECTIONS)]
    header: Header | None = None
    footer: Footer | None = None

    @model_validator(mode="after")
    def _rows(self) -> Self:
        ids = [row.id for section in self.sections for row in section.rows]
        if len(ids) > MAX_ROWS:
            raise ValueError(f"{len(ids)} rows; a list holds {MAX_ROWS}")
        if len(set(ids)) < len(ids):
            raise ValueError("two rows have the same id")
        if len(self.sections) > 1 and not all(section.title for section in self.sections):
            raise ValueError("every section of several needs a title")
        return self


class ProductMessage(Part):
    """One product of the catalogue, with price and picture shown by WhatsApp."""

    kind: Literal["product"] = "product"
    catalog_id: Annotated[str, Field(min_length=1)]
    sku: Sku
    body: Body | None = None
    footer: Footer | None = None


class ProductListMessage(Part):
    """Up to 30 products in 10 sections; a text header is required."""

    kind: Literal["product_list"] = "product_list"
    catalog_id: Annotated[str, Field(min_length=1)]
    header: Header
    body: Body
    sections: Annotated[tuple[ProductSection, ...], Field(min_length=1, max_length=MAX_SECTIONS)]
    footer: Footer | None = None

    @model_validator(mode="after")
    def _products(self) -> Self:
        count = sum(len(section.skus) for section in self.sections)
        if count > MAX_PRODUCTS:
            raise ValueError(f"{count} products; a product list holds {MAX_PRODUCTS}")
        return self


class CatalogueMessage(Part):
    """The button that opens the shop's whole catalogue."""

    kind: Literal["catalogue"] = "catalogue"
    body: Body
    thumbnail_sku: Sku | None = None
    footer: Footer | None = None


class CarouselMessage(Part):
    """Two to ten products as cards side by side."""

    kind: Literal["carousel"] = "carousel"
    body: Body
    catalog_id: Annotated[str, Field(min_length=1)]
    skus: Annotated[tuple[Sku, ...], Field(min_length=2, max_length=10)]


class LinkMessage(Part):
    """A button that opens an address in the browser (`cta_url`)."""

    kind: Literal["link"] = "link"
    body: Body
    title: ButtonTitle
    url: HttpUrl
    header: Header | None = None
    footer: Footer | None = None


class LocationRequestMessage(Part):
    kind: Literal["location_request"] = "location_request"
    body: Body


class OrderLine(Part):
    sku: Sku
    name: Annotated[str, Field(min_length=1, max_length=60)]
    unit_minor: Annotated[int, Field(ge=0)]
    quantity: Annotated[int, Field(ge=1)]


class OrderDetailsMessage(Part):
    """An order to be paid in the chat (Brazil: `br`, India: `upi`); total = lines + shipping."""

    kind: Literal["order_details"] = "order_details"
    body: Body
    reference_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,35}$")]
    payment_type: Literal["br", "upi"]
    payment_settings: tuple[dict[str, object], ...] = ()
    currency: Literal["BRL", "INR"]
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1)]
    shipping_minor: Annotated[int, Field(ge=0)] = 0
    total_minor: Annotated[int, Field(ge=1)]
    footer: Footer | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if sum(line.unit_minor * line.quantity for line in self.lines) + self.shipping_minor != self.total_minor:
            raise ValueError("the total is not the sum of the lines and the shipping")
        return self


class OrderStatusMessage(Part):
    """News of an order that was paid by order_details."""

    kind: Literal["order_status"] = "order_status"
    body: Body
    reference_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,35}$")]
    status: Literal["pending", "processing", "partially-shipped", "shipped", "completed", "canceled"]
    description: Annotated[str, Field(max_length=120)] = ""


class TemplateMessage(Part):
    """An approved template; `body` are the texts for its body's placeholders, in order."""

    kind: Literal["template"] = "template"
    name: Annotated[str, Field(min_length=1, max_length=512)]
    language: Annotated[str, Field(min_length=2, max_length=10)]
    body: tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...] = ()


class ReactionMessage(Part):
    """An emoji on a message of the customer's; empty takes it back."""

    kind: Literal["reaction"] = "reaction"
    wamid: Annotated[str, Field(min_length=1)]
    emoji: Annotated[str, Field(max_length=10)] = ""


class MediaMessage(Part):
    """A picture, film, sound, document or sticker: by address, by the id of an upload, or with the file itself.

    `content` is for what has no address, like a receipt: the sender uploads each file once for each number.
    """

    kind: Literal["media"] = "media"
    media: Literal["image", "video", "audio", "document", "sticker"]
    link: HttpUrl | None = None
    media_id: Annotated[str, Field(min_length=1)] | None = None
    caption: Annotated[str, Field(max_length=1024)] = ""
    filename: Annotated[str, Field(max_length=240)] = ""
    content: Annotated[Base64Bytes, Field(min_length=1, max_length=FILE_LIMIT)] | None = None
    mime_type: Annotated[str, Field(pattern=r"^[a-z]+/[A-Za-z0-9.+-]+$")] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.link, self.media_id, self.content)) != 1:
            raise ValueError("give either link, media_id or content")
        if (self.content is None) != (self.mime_type is None):
            raise ValueError("content and its mime_type go together")
        if self.caption and self.media in {"audio", "sticker"}:
            raise ValueError(f"{self.media} has no caption")
        if self.filename and self.media != "document":
            raise ValueError(f"{self.media} has no filename")
        return self


Message: TypeAlias = Annotated[
    TextMessage
    | ButtonsMessage
    | ListMessage
    | ProductMessage
    | ProductListMessage
    | CatalogueMessage
    | CarouselMessage
    | LinkMessage
    | LocationRequestMessage
    | OrderDetailsMessage
    | OrderStatusMessage
    | TemplateMessage
    | ReactionMessage
    | MediaMessage,
    Field(discriminator="kind"),
]

MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)


def packed(message: Message) -> msgspec.Raw:
    """The message as the JSON that travels inside MessageRequested."""
    return msgspec.Raw(message.model_dump_json(exclude_none=True).encode())


def unpacked(raw: msgspec.Raw) -> Message:
    """The message out of MessageRequested. Raises pydantic's ValidationError."""
    return MESSAGE.validate_json(bytes(raw))


def offered(message: Message) -> Sequence[tuple[str, str]]:
    """(id, title) of every button and row the message shows."""
    match message:
        case ButtonsMessage(buttons=buttons):
            return [(b.id, b.title) for b in buttons]
        case ListMessage(sections=sections):
            return [(r.id, r.title) for s in sections for r in s.rows]
        case _:
            return []
