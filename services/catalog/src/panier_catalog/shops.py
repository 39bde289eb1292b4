"""The shops file: what its owner wrote to what the services are told. Pure; whoever calls reads the file.

Shops that a later file leaves out stay: applying adds and changes, it never takes away.
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import msgspec
from babel.numbers import is_currency
from panier_common.contracts.events import Delivery, Number, ShopConfigured
from panier_common.money import minor_units
from panier_common.routing import WORDS
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator


class ShopsError(ValueError):
    """The shops file cannot be applied: one line a fault, each beginning with where in the file it is."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class _Table(BaseModel):
    """The parent of the file's tables: a setting nobody knows is a mistake, not a comment."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Text = Annotated[str, Field(min_length=1, max_length=200)]
_SHOP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class NumberTable(_Table):
    phone_number_id: Id
    display: Text
    access_token_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    # What Meta lets it send and receive, where that is not the usual 80: 20 beside the WhatsApp Business app.
    messages_per_second: Annotated[int, Field(ge=1, le=1000)] | None = None


class DeliveryTable(_Table):
    """Amounts of money as text, in the shop's currency."""

    fee: str = "0"
    free_from: str | None = None
    minimum: str | None = None


class FulfilmentTable(_Table):
    collect: bool = True
    delivery: DeliveryTable | None = None

    @model_validator(mode="after")
    def _some_way(self) -> Self:
        if not self.collect and self.delivery is None:
            raise ValueError("a shop needs a way to hand over its goods: collect = true, or delivery")
        return self


class PaymentTable(_Table):
    # Those of panier_payments.PROVIDERS: a shop of any other would take orders that nobody can pay.
    provider: Literal["simulated", "on_collection"] = "on_collection"
    expires_after_minutes: Annotated[float, Field(gt=0, le=7 * 24 * 60)] = 30


class ShopTable(_Table):
    """One `[[shop]]` of the file. `catalogue` is a path relative to it."""

    id: str
    name: Text
    languages: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")], ...], Field(min_length=1)]
    currency: str
    timezone: str
    catalog_id: Id
    catalogue: str | None = None
    # Meta's, for `panier templates`.
    business_account_id: Id | None = None
    number: Annotated[tuple[NumberTable, ...], Field(min_length=1)]
    fulfilment: FulfilmentTable = FulfilmentTable()
    payment: PaymentTable = PaymentTable()

    @field_validator("id")
    @classmethod
    def _plain_id(cls, name: str) -> str:
        # It is a part of records' keys, of topics' and of addresses: no `+`, `|`, `/` or space.
        if not _SHOP_ID.fullmatch(name):
            raise ValueError(f"`{name}` is no shop id: letters, digits, `_`, `.` and `-`, at most 63, like bakery")
        return name

    @field_validator("languages")
    @classmethod
    def _spoken(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        for language in languages:
            if language not in WORDS and language.partition("-")[0] not in WORDS:
                raise ValueError(f"there are no words in `{language}`; the languages there are: {', '.join(WORDS)}")
        return languages

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, code: str) -> str:
        if not is_currency(code):
            raise ValueError(f"`{code}` is no currency of ISO 4217, like EUR")
        return code

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            raise ValueError(f"`{name}` is no time zone, like Europe/Paris") from None
        return name

    @model_validator(mode="after")
    def _amounts(self) -> Self:
        self.delivery_rules()
        return self

    def delivery_rules(self) -> Delivery | None:
        """The delivery's amounts in minor units. Raises ValueError for what is no amount."""
        rules = self.fulfilment.delivery
        if rules is None:
            return None
        free_from, minimum = rules.free_from, rules.minimum
        return Delivery(
            fee_minor=self._amount("fee", rules.fee),
            free_from_minor=None if free_from is None else self._amount("free_from", free_from),
            minimum_minor=None if minimum is None else self._amount("minimum", minimum),
        )

    def _amount(self, name: str, text: str) -> int:
        try:
            minor = minor_units(text, self.currency)
        except ValueError as error:
            raise ValueError(f"fulfilment.delivery.{name}: {error}") from None
        if minor < 0:
            raise ValueError(f"fulfilment.delivery.{name}: `{text}` is less than nothing")
        return minor


class ShopsFile(_Table):
    shop: Annotated[tuple[ShopTable, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [shop.id for shop in self.shop]
        if len(set(ids)) < len(ids):
            raise ValueError("two shops have the same id")
        return self


def parse(text: str) -> ShopsFile:
    """The shops of a TOML text. Raises ShopsError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ShopsError([f"not TOML: {error}"]) from None
    return checked(document)


def checked(document: object) -> ShopsFile:
    """The shops of a parsed file, `{"shop": […]}`. Raises ShopsError."""
    try:
        return ShopsFile.model_validate(document)
    except ValidationError as error:
        raise ShopsError([f"{_path(e['loc'])}: {_reason(e)}" for e in _own(error.errors())]) from None


def _own(errors: Sequence[Any]) -> Iterable[Any]:
    """Without those of a list that is too short only because what is in it was refused."""
    inner = {e["loc"][:depth] for e in errors for depth in range(len(e["loc"]))}
    return (e for e in errors if not (e["type"] == "too_short" and e["loc"] in inner))


def _path(location: Iterable[int | str]) -> str:
    """Where in the file, as TOML has it: `shop[0].number[1].display`, counted from 0."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "the file"


def _reason(error: Any) -> str:
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "too_short":
        return "is empty"
    if error["type"] == "extra_forbidden":
        return "is no setting of the shops file"
    return str(error["msg"]).removeprefix("Value error, ")


def numbers_taken_twice(shops: Iterable[ShopConfigured]) -> list[str]:
    """A fault for each phone number that more than one shop, or one shop twice, has."""
    owners: dict[str, list[str]] = {}
    for shop in shops:
        for number in shop.numbers:
            owners.setdefault(number.phone_number_id, []).append(shop.shop)
    return [
        f"phone_number_id {number} is used by {' and '.join(f'`{shop}`' for shop in shops_having)}"
        for number, shops_having in owners.items()
        if len(shops_having) > 1
    ]


def configured(table: ShopTable, before: ShopConfigured | None) -> ShopConfigured:
    """The shop as the services are told; its version is one up when something changed."""
    shop = ShopConfigured(
        shop=table.id,
        version=before.version if before else 1,
        name=table.name,
        languages=table.languages,
        currency=table.currency,
        timezone=table.timezone,
        catalog_id=table.catalog_id,
        numbers=tuple(
            Number(n.phone_number_id, n.display, n.access_token_env, n.messages_per_second) for n in table.number
        ),
        collect=table.fulfilment.collect,
        delivery=table.delivery_rules(),
        payment_provider=table.payment.provider,
        expires_after_seconds=table.payment.expires_after_minutes * 60,
    )
    if before is None or shop == before:
        return shop
    return msgspec.structs.replace(shop, version=before.version + 1)
