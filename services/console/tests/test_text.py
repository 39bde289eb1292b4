"""Every kind of message, in both directions, as text for people."""

import msgspec
import pytest
from panier_common.contracts import inbound as m
from panier_common.contracts import outbound as o
from panier_console.text import kind_of, shown, text_of


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        (m.Text("bonjour"), "text", "bonjour"),
        (m.Reply("cart:show", "Mon panier"), "reply", "Mon panier"),
        (m.Reply("cart:show"), "reply", "cart:show"),
        (m.Order("1", (m.OrderItem("BAG-1", 2), m.OrderItem("CRO-1")), "vite"), "order", "2 × BAG-1\n? × CRO-1\nvite"),
        (m.Location(48.5, -4.5, "Port", "1 quai"), "location", "Port, 1 quai"),
        (m.Location(48.5, -4.5), "location", "48.500000, -4.500000"),
        (m.Form("address", '{"a":1}'), "form", '{"a":1}'),
        (m.Media("image", caption="regardez"), "image", "regardez"),
        (m.Media("document", filename="liste.pdf"), "document", "liste.pdf"),
        (m.Media("audio"), "audio", ""),
        (m.Reaction("wamid.0", "👍"), "reaction", "👍"),
        (m.Contacts(1), "contacts", ""),
        (m.Revoke("wamid.0"), "revoke", ""),
        (m.Unknown("hologram"), "unknown", ""),
    ],
)
def test_what_a_customer_sends(content: m.Content, kind: str, text: str) -> None:
    assert (kind_of(content), text_of(content)) == (kind, text)


BUTTONS = (o.ReplyButton(id="catalog:menu", title="Menu"),)
ROWS = (o.Section(rows=(o.Row(id="cart:show", title="Panier"),)),)
PRODUCTS = (o.ProductSection(title="Pains", skus=("BAG-1",)),)


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        (o.TextMessage(body="voilà"), "text", "voilà"),
        (o.ButtonsMessage(body="voilà", buttons=BUTTONS, header="Tête"), "buttons", "Tête\nvoilà"),
        (o.ListMessage(body="voilà", button="Voir", sections=ROWS), "list", "voilà"),
        (o.ProductMessage(catalog_id="1", sku="BAG-1"), "product", "BAG-1"),
        (
            o.ProductListMessage(catalog_id="1", header="Pains", body="voilà", sections=PRODUCTS),
            "product_list",
            "Pains\nvoilà",
        ),
        (o.CatalogueMessage(body="voilà"), "catalogue", "voilà"),
        (o.LinkMessage(body="payer", title="Payer", url="https://a.example/1"), "link", "payer"),
        (o.LocationRequestMessage(body="où ?"), "location_request", "où ?"),
        (o.TemplateMessage(name="ready", language="fr", body=("Ana", "B-1")), "template", "Ana\nB-1"),
        (o.TemplateMessage(name="ready", language="fr"), "template", "ready"),
        (o.ReactionMessage(wamid="w", emoji="👍"), "reaction", "👍"),
        (o.MediaMessage(media="image", media_id="1", caption="le plan"), "media", "le plan"),
    ],
)
def test_what_we_send(message: o.Message, kind: str, text: str) -> None:
    assert shown(o.packed(message)) == (kind, text)


def test_what_is_no_message_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        shown(msgspec.Raw(b"[]"))
