"""Every kind of message against its golden file, and the golden file's keys against Meta's own example."""

import json
from pathlib import Path
from typing import get_args

import pytest
from panier_common.contracts import outbound as o
from panier_common.contracts.events import Customer
from panier_sender.render import addressed, content, digest_of, read_body, request_body

REQUESTS = Path(__file__).parents[3] / "tests/fixtures/whatsapp/meta-openapi/requests"
CATALOG = "194836987003835"

MESSAGES: dict[str, o.Message] = {
    "text": o.TextMessage(body="Bonjour 🥐", preview_url=True),
    "buttons": o.ButtonsMessage(
        body="Votre panier : 8,80 €",
        buttons=(
            o.ReplyButton(id="checkout:start", title="Commander"),
            o.ReplyButton(id="cart:edit", title="Modifier"),
        ),
        header="Panier",
        footer="Boulangerie du Port",
    ),
    "list": o.ListMessage(
        body="Nos rayons",
        button="Choisir",
        sections=(
            o.Section(
                title="Pains",
                rows=(
                    o.Row(id="catalog:collection:pains", title="Pains", description="Au levain"),
                    o.Row(id="catalog:collection:brioches", title="Brioches"),
                ),
            ),
        ),
        header="La carte",
        footer="Boulangerie du Port",
    ),
    "list_of_one_untitled_section": o.ListMessage(
        body="Nos rayons",
        button="Choisir",
        sections=(o.Section(rows=(o.Row(id="catalog:menu", title="Tout"),)),),
    ),
    "product": o.ProductMessage(catalog_id=CATALOG, sku="croissant", body="1,20 €", footer="En stock"),
    "product_alone": o.ProductMessage(catalog_id=CATALOG, sku="croissant"),
    "product_list": o.ProductListMessage(
        catalog_id=CATALOG,
        header="Viennoiseries",
        body="Ce matin",
        footer="Boulangerie du Port",
        sections=(
            o.ProductSection(title="Feuilletées", skus=("croissant", "chausson")),
            o.ProductSection(title="Briochées", skus=("brioche",)),
        ),
    ),
    "catalogue": o.CatalogueMessage(body="Tout le catalogue", thumbnail_sku="croissant", footer="Bon appétit"),
    "catalogue_without_picture": o.CatalogueMessage(body="Tout le catalogue"),
    "carousel": o.CarouselMessage(body="Nos préférés", catalog_id=CATALOG, skus=("croissant", "brioche")),
    "link": o.LinkMessage(
        body="8,80 € à payer", title="Payer", url="https://pay.example/o/42", header="Commande", footer="Merci"
    ),
    "location_request": o.LocationRequestMessage(body="Où livrer ?"),
    "order_details": o.OrderDetailsMessage(
        body="Sua encomenda",
        reference_id="order-42",
        payment_type="br",
        payment_settings=({"type": "payment_link", "payment_link": {"uri": "https://pay.example/o/42"}},),
        currency="BRL",
        lines=(o.OrderLine(sku="pao", name="Pão", unit_minor=1250, quantity=2),),
        shipping_minor=500,
        total_minor=3000,
        footer="Obrigado",
    ),
    "order_status": o.OrderStatusMessage(
        body="Em preparação", reference_id="order-42", status="processing", description="No forno"
    ),
    "template": o.TemplateMessage(name="order_ready", language="fr", body=("Ana", "A-42")),
    "template_without_text": o.TemplateMessage(name="hello_world", language="en_US"),
    "reaction": o.ReactionMessage(wamid="wamid.HBgL", emoji="👍"),
    "image": o.MediaMessage(media="image", link="https://shop.example/croissant.png", caption="Croissant"),
    "document": o.MediaMessage(media="document", media_id="42", caption="Facture", filename="facture.pdf"),
    "video": o.MediaMessage(media="video", media_id="42", caption="Au four"),
    "audio": o.MediaMessage(media="audio", media_id="42"),
    "sticker": o.MediaMessage(media="sticker", media_id="42"),
}

# The example of Meta's that a golden file's keys are checked against.
EXAMPLES = {
    "text": "send_text_message",
    "buttons": "send_reply_button",
    "list": "send_list_message",
    "list_of_one_untitled_section": "send_list_message",
    "product": "send_single_product_message",
    "product_alone": "send_single_product_message",
    "product_list": "send_multi-product_message",
    "catalogue": "send_catalog_message",
    "catalogue_without_picture": "send_catalog_message",
    "order_details": "send_order_details_message",
    "order_status": "send_order_status_message",
    "template": "send_message_template_text",
    "template_without_text": "send_test_message",
    "reaction": "send_reply_with_reaction_message",
    "image": "send_image_message_by_url",
    "document": "send_document_message_by_id",
    "video": "send_video_message_by_id",
    "audio": "send_audio_message_by_id",
    "sticker": "send_sticker_message_by_id",
}
# Meta's file has no example of these; their shapes are from the pages on each kind.
WITHOUT_EXAMPLE = {"carousel", "link", "location_request"}
# Keys that Meta documents beside its examples.
DOCUMENTED = {
    "": {"biz_opaque_callback_data", "recipient_type"},
    "buttons": {
        "interactive.header",
        "interactive.header.type",
        "interactive.header.text",
        "interactive.footer",
        "interactive.footer.text",
    },
    "order_details": {
        "interactive.action.parameters.payment_settings",
        "interactive.action.parameters.payment_settings.type",
        "interactive.action.parameters.payment_settings.payment_link",
        "interactive.action.parameters.payment_settings.payment_link.uri",
    },
    "image": {"image.caption"},
}


def rendered(message: o.Message) -> dict:
    customer = Customer(user_id="FR.13491208655302741918", wa_id="33612345678")
    return json.loads(request_body(message, customer, "1:33612345678", "our-id"))


def paths(document: object, prefix: str = "") -> set[str]:
    if isinstance(document, list):
        return set().union(*(paths(item, prefix) for item in document)) if document else set()
    if not isinstance(document, dict):
        return set()
    found = set()
    for key, value in document.items():
        found |= {f"{prefix}{key}"} | paths(value, f"{prefix}{key}.")
    return found


@pytest.mark.parametrize("name", MESSAGES)
def test_renders_as_reviewed(name, golden):
    assert rendered(MESSAGES[name]) == golden(name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_has_only_keys_of_metas_example(name, golden):
    example = json.loads((REQUESTS / f"messages__{EXAMPLES[name]}.json").read_text(encoding="utf-8"))
    allowed = paths(example) | DOCUMENTED[""] | DOCUMENTED.get(name, set())
    assert paths(golden(name)) <= allowed
    for key in ("messaging_product", "type"):
        assert golden(name)[key] == example[key]
    if "interactive" in example:
        assert golden(name)["interactive"]["type"] == example["interactive"]["type"]
        assert golden(name)["interactive"]["action"].get("name") == example["interactive"]["action"].get("name")


def test_every_kind_has_a_golden_file():
    union = get_args(get_args(o.Message)[0])
    assert {type(message) for message in MESSAGES.values()} == set(union)
    assert set(EXAMPLES) | WITHOUT_EXAMPLE == set(MESSAGES)


def test_media_is_given_by_id_or_by_link():
    assert rendered(MESSAGES["document"])["document"]["id"] == "42"
    assert rendered(MESSAGES["image"])["image"]["link"].startswith("https://")


@pytest.mark.parametrize(
    ("customer", "conversation", "expected"),
    [
        (Customer("FR.1", "33612"), "1:FR.1", {"to": "+33612"}),
        (Customer("FR.1", None), "1:FR.1", {"recipient": "FR.1"}),
        (Customer(None, "33612"), "1:33612", {"to": "+33612"}),
        (Customer(None, "+33612"), "1:33612", {"to": "+33612"}),
        (Customer(), "1:FR.1", {"recipient": "FR.1"}),
        (Customer(), "1:33612", {"to": "+33612"}),
    ],
)
def test_addresses_by_phone_number_when_it_is_known(customer, conversation, expected):
    assert addressed(customer, conversation) == expected


def test_marks_read_as_metas_example():
    example = json.loads(
        (REQUESTS / "messages__send_typing_indicator_and_read_receipt.json").read_text(encoding="utf-8")
    )
    assert json.loads(read_body(example["message_id"], typing=True)) == example
    del example["typing_indicator"]
    assert json.loads(read_body(example["message_id"], typing=False)) == example


def test_a_file_is_named_by_its_digest_until_it_is_uploaded():
    message = o.MediaMessage(media="image", content="aGVsbG8=", mime_type="image/png", caption="Pain")
    image = content(message)["image"]
    assert image == {"id": f"upload:{digest_of(b'hello')}", "caption": "Pain"}
