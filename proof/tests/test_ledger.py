"""What the phone showed is read as a customer reads it."""

from panier_proof.ledger import Act, Customer, Seen, seen, story


def interactive(**interactive: object) -> dict[str, object]:
    return {"seq": 3, "wamid": "m", "at": 2.0, "kind": "button", "body": {"interactive": interactive}}


def test_a_summary_in_either_language_says_its_lines() -> None:
    french = Seen(1, "m", 1.0, "button", "Votre commande :\n2 × Good 01 : 8,50 €\n12 × Rare 25 : 3,00 €\n\nTotal : 1 €")
    english = Seen(1, "m", 1.0, "button", "Your order:\n2 × Good 01: €8.50\n12 × Rare 25: €3.00\n\nTotal: €1")
    cart = Seen(1, "m", 1.0, "button", "2 × Good 01 — €8.50\n12 × Rare 25 — €3.00")
    assert french.lines == english.lines == cart.lines == {"Good 01": 2, "Rare 25": 12}


def test_buttons_rows_and_links_are_seen() -> None:
    buttons = seen(interactive(action={"buttons": [{"reply": {"id": "cart:edit", "title": "Edit"}}]}))
    assert (found := buttons.reply("cart:"))
    assert (found.id, found.kind) == ("cart:edit", "button_reply")
    rows = seen(interactive(action={"sections": [{"rows": [{"id": "cart:empty", "title": "Empty"}]}]}))
    assert (row := rows.reply("cart:empty"))
    assert row.kind == "list_reply"
    url = "http://127.0.0.1:1/pay/EUR/880/0b5e"
    link = seen(interactive(action={"name": "cta_url", "parameters": {"url": url, "display_text": "Pay"}}))
    assert (link.order_id, link.asked_minor) == ("0b5e", 880)


def test_a_story_is_told_in_order() -> None:
    page = Customer("A", "c", "FR.1", None, "n:FR.1")
    page.acts = [Act("w2", 3.0, {"text": "panier"}), Act("w1", 1.0, {"text": "bonjour"}, True)]
    page.seen = [Seen(1, "m", 2.0, "text", "Bonjour !")]
    assert [line[:2] for line in story(page)] == ["→ ", "← ", "→ "]
    assert "never acknowledged" in story(page)[2]
