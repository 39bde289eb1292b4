"""Each of Meta's limits: what just keeps it is taken, one more is refused with Meta's code."""

import copy
from typing import Any

import pytest
from panier_simulator.errors import GraphError
from panier_simulator.requests import judge

Json = dict[str, Any]
CATALOG = "194836987003835"


def message(kind: str, content: Any) -> Json:
    return {"messaging_product": "whatsapp", "to": "+33600000001", "type": kind, kind: content}


def interactive(kind: str, action: Json, **more: Any) -> Json:
    return message("interactive", {"type": kind, "body": {"text": "b"}, "action": action, **more})


def text(length: int = 4096) -> Json:
    return message("text", {"body": "x" * length})


def buttons(count: int = 3, title: int = 20, key: int = 256, body: int = 1024, same: str = "") -> Json:
    replies = [
        {"id": f"{index}".ljust(key, "i"), "title": same or f"{index}".ljust(title, "t")} for index in range(count)
    ]
    action = {"buttons": [{"type": "reply", "reply": reply} for reply in replies]}
    return interactive("button", action, body={"text": "b" * body})


def framed(header: int = 60, footer: int = 60) -> Json:
    changed = copy.deepcopy(buttons())
    changed["interactive"]["header"] = {"type": "text", "text": "h" * header}
    changed["interactive"]["footer"] = {"text": "f" * footer}
    return changed


def rows(
    count: int = 10, title: int = 24, describe: int = 72, key: int = 200, button: int = 20, body: int = 4096
) -> Json:
    every = [
        {"id": f"{index}".ljust(key, "i"), "title": "t" * title, "description": "d" * describe}
        for index in range(count)
    ]
    action = {"button": "b" * button, "sections": [{"title": "s", "rows": every}]}
    return interactive("list", action, body={"text": "b" * body})


def sections(count: int = 10, title: int = 24, untitled: bool = False) -> Json:
    every = [{"title": "s" * title, "rows": [{"id": f"{index}", "title": "r"}]} for index in range(count)]
    if untitled:
        del every[0]["title"]
    return interactive("list", {"button": "b", "sections": every})


def products(count: int = 30, parts: int = 10, header: bool = True) -> Json:
    skus = [{"product_retailer_id": f"p{index}"} for index in range(count)]
    every = [{"title": f"s{part}", "product_items": skus[part::parts]} for part in range(parts)]
    more = {"header": {"type": "text", "text": "h"}} if header else {}
    return interactive("product_list", {"catalog_id": CATALOG, "sections": every}, **more)


def link(url: str = "https://shop.example/pay", label: int = 20) -> Json:
    parameters = {"display_text": "l" * label, "url": url}
    return interactive("cta_url", {"name": "cta_url", "parameters": parameters})


def product(**more: Any) -> Json:
    return interactive("product", {"catalog_id": CATALOG, "product_retailer_id": "p"}, **more)


def carousel(count: int = 10) -> Json:
    cards = [
        {"card_index": index, "type": "product", "action": {"catalog_id": CATALOG, "product_retailer_id": "p"}}
        for index in range(count)
    ]
    return interactive("carousel", {"cards": cards})


def details(reference: int = 35, total: int = 1100, offset: int = 100, name: int = 60) -> Json:
    def amount(value: int) -> Json:
        return {"value": value, "offset": offset}

    items = [{"retailer_id": "p", "name": "n" * name, "amount": amount(500), "quantity": 2}]
    order = {"status": "pending", "items": items, "subtotal": amount(1000), "tax": amount(100)}
    parameters = {
        "reference_id": "r" * reference,
        "type": "physical-goods",
        "payment_type": "upi",
        "payment_settings": [],
        "currency": "INR",
        "total_amount": amount(total),
        "order": order,
    }
    return interactive("order_details", {"name": "review_and_pay", "parameters": parameters})


def contacts(count: int = 257) -> Json:
    return message("contacts", [{"name": {"formatted_name": "C"}}] * count)


def location_request(**more: Any) -> Json:
    return interactive("location_request_message", {"name": "send_location"}, **more)


def image(**media: Any) -> Json:
    return message("image", media or {"link": "https://shop.example/a.png"})


def without(key: str) -> Json:
    body = text(1)
    del body[key]
    return body


def callback(length: int = 512) -> Json:
    return text(1) | {"biz_opaque_callback_data": "c" * length}


ACCEPTED: dict[str, Json] = {
    "text": text(),
    "buttons": buttons(),
    "header and footer": framed(),
    "list": rows(),
    "sections": sections(),
    "products": products(),
    "link": link(),
    "product": product(),
    "carousel": carousel(),
    "order details": details(),
    "contacts": contacts(),
    "location request": location_request(),
    "image": image(),
    "callback data": callback(),
    "recipient alone": without("to") | {"recipient": "FR.13491208655302741918"},
}
REFUSED: dict[str, tuple[Json, int]] = {
    "text too long": (text(4097), 100),
    "empty text": (text(0), 131009),
    "four buttons": (buttons(count=4), 131009),
    "no button": (buttons(count=0), 131009),
    "button title too long": (buttons(title=21), 131009),
    "button id too long": (buttons(key=257), 131009),
    "button titles alike": (buttons(same="Yes"), 131009),
    "body of buttons too long": (buttons(body=1025), 131009),
    "header too long": (framed(header=61), 131009),
    "footer too long": (framed(footer=61), 131009),
    "eleven rows": (rows(count=11), 131009),
    "row title too long": (rows(title=25), 131009),
    "row description too long": (rows(describe=73), 131009),
    "row id too long": (rows(key=201), 131009),
    "list button too long": (rows(button=21), 131009),
    "body of a list too long": (rows(body=4097), 131009),
    "section title too long": (sections(title=25), 131009),
    "eleven sections": (sections(count=11), 131009),
    "section without title": (sections(count=2, untitled=True), 131009),
    "31 products": (products(count=31), 131009),
    "eleven sections of products": (products(count=22, parts=11), 131009),
    "product list without header": (products(header=False), 131008),
    "product with header": (product(header={"type": "text", "text": "h"}), 100),
    "link label too long": (link(label=21), 131009),
    "link to a script": (link("javascript:alert(1)"), 131009),
    "carousel of one": (carousel(1), 131009),
    "carousel of eleven": (carousel(11), 131009),
    "reference too long for India": (details(reference=36), 131009),
    "total that does not add up": (details(total=1099), 131009),
    "offset that is not 100": (details(offset=10), 131009),
    "item name too long": (details(name=61), 131009),
    "258 contacts": (contacts(258), 131009),
    "location request with footer": (location_request(footer={"text": "f"}), 100),
    "image with id and link": (image(id="1", link="https://shop.example/a.png"), 131009),
    "image with neither": (image(caption="c"), 131009),
    "callback data too long": (callback(513), 131009),
    "unknown key": (text(1) | {"colour": "red"}, 100),
    "unknown nested key": (message("text", {"body": "b", "colour": "red"}), 100),
    "content of another kind": (text(1) | {"image": {"link": "https://shop.example/a.png"}}, 100),
    "unknown type": (message("telegram", {}), 100),
    "unknown interactive type": (interactive("wheel", {}), 100),
    "no recipient": (without("to"), 131008),
    "no product": (without("messaging_product"), 131008),
    "no content": (without("text"), 131008),
    "recipient that is no user id": (without("to") | {"recipient": "33600000001"}, 131009),
    "to that is no number": (text(1) | {"to": "Camille"}, 131009),
    "group": (text(1) | {"recipient_type": "group"}, 131009),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_takes_what_just_keeps_the_limits(name: str) -> None:
    assert judge(ACCEPTED[name])["type"] == ACCEPTED[name]["type"]


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_one_over(name: str) -> None:
    body, code = REFUSED[name]
    with pytest.raises(GraphError) as refusal:
        judge(body)
    assert refusal.value.code == code, refusal.value.details
    assert refusal.value.details


@pytest.mark.parametrize("body", [None, [], "text", 3])
def test_refuses_what_is_no_object(body: Any) -> None:
    with pytest.raises(GraphError, match="not a JSON object"):
        judge(body)


def test_only_templates_are_marketing_messages() -> None:
    template = message("template", {"name": "offer", "language": {"code": "en"}})
    assert judge(template | {"product_policy": "STRICT"}, marketing=True)
    with pytest.raises(GraphError):
        judge(text(1), marketing=True)


def test_names_the_place_as_meta_does() -> None:
    with pytest.raises(GraphError) as refusal:
        judge(buttons(title=21))
    assert "interactive['action']['buttons'][0]['reply']['title']" in refusal.value.details
    with pytest.raises(GraphError) as refusal:
        judge(text(4097))
    assert refusal.value.details == "Param text['body'] must be at most 4096 characters long."
