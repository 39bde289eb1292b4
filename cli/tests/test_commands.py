"""What each command asks the services, prints, and how it ends."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from panier_cli.app import COMMANDS

from .conftest import Panier
from .fake_services import FakeServices, Request, problem

ORDER: dict[str, Any] = {
    "order_id": "9f1c",
    "number": "A-100",
    "shop": "bakery",
    "phone_number_id": "10",
    "conversation": "10:FR.1",
    "customer": {"user_id": "FR.1", "wa_id": "33600000001"},
    "state": "paid",
    "payment_state": "paid",
    "currency": "EUR",
    "lines": [{"sku": "c", "title": "Croissant", "quantity": 4, "unit_minor": 140, "total_minor": 560}],
    "fulfilment": {"way": "deliver", "address": {"text": "2 quai Nord", "latitude": None, "longitude": None}},
    "fees_minor": 450,
    "total_minor": 1010,
    "paid_minor": 1010,
    "placed_at": "2026-07-01T08:00:00.123Z",
    "caused_by": "wamid.1",
    "note": "sans noix, allergie !",
}
SHOWN = {
    **ORDER,
    "history": [
        {"at": "2026-07-01T08:00:00Z", "what": "placed", "by": "customer"},
        {"at": "2026-07-01T08:05:00Z", "what": "paid", "by": "simulated"},
    ],
    "payment_problem": {"reason": "already_paid", "minor": 1010, "currency": "EUR"},
}
CART = {
    "conversation": "10:FR.1",
    "lines": ORDER["lines"],
    "currency": "EUR",
    "total_minor": 560,
    "note": "bien cuits",
    "updated_at": "2026-07-01T08:00:00Z",
}
MESSAGES = [
    {
        "id": "1",
        "direction": "in",
        "kind": "text",
        "text": "bonjour",
        "at": "2026-07-01T08:00:00Z",
        "state": "received",
    },
    {"id": "2", "direction": "out", "kind": "text", "text": "Bienvenue", "at": "2026-07-01T08:00:01Z", "state": "read"},
]
PRODUCTS = [
    {
        "sku": "c",
        "title": "Croissant",
        "price": {"minor": 140, "currency": "EUR"},
        "available": None,
        "reserved": 0,
        "sold": 3,
        "state": "in_stock",
    }
]
PROBLEMS = [
    {
        "order_id": "nobody's",
        "reason": "unknown_order",
        "provider": "simulated",
        "notification_id": "n-7",
        "minor": 820,
        "currency": "EUR",
        "at": "2026-07-01T08:00:00Z",
        "number": None,
        "shop": None,
        "conversation": None,
    }
]
WAITING = [
    {
        "conversation": "10:FR.1",
        "phone_number_id": "10",
        "customer": {"user_id": "FR.1", "wa_id": None},
        "unanswered_since": "2026-07-01T08:00:00Z",
    }
]
DAY = {
    "shop": "bakery",
    "day": "2026-07-01",
    "timezone": "Europe/Paris",
    "currencies": [{"currency": "EUR", "revenue_minor": 1010, "orders": 1, "items": 4, "average_minor": 1010}],
    "funnel": {"carts": 3, "checkouts": 2, "placed": 1, "paid": 1},
}
SHOPS = [
    {
        "id": "bakery",
        "name": "Bakery",
        "languages": ["fr", "en"],
        "currency": "EUR",
        "timezone": "Europe/Paris",
        "payment_provider": "simulated",
        "numbers": [{"phone_number_id": "10", "display": "+33", "access_token_env": "T"}],
    }
]
FAILED = [
    {
        "id": "m",
        "conversation": "10:FR.1",
        "customer": {"user_id": "FR.1", "wa_id": None},
        "kind": "text",
        "text": "Bienvenue",
        "at": "2026-07-01T08:00:00Z",
        "why": "This customer cannot be reached. (131026)",
    }
]
LOOK_UPS = [
    (
        ["orders", "list", "--shop", "bakery", "--since", "2026-07-01"],
        "/internal/orders",
        {"shop": "bakery", "since": "2026-07-01T00:00:00+00:00"},
        [ORDER],
        ["A-100", "10.10 EUR", "deliver"],
    ),
    (
        ["orders", "show", "A-100"],
        "/internal/orders/A-100",
        {},
        SHOWN,
        ["2 quai Nord", "4.50 EUR", "already_paid", "sans noix"],
    ),
    (["catalog", "list", "--shop", "b/1"], "/internal/shops/b%2F1/products", {}, PRODUCTS, ["1.40 EUR", "unlimited"]),
    (["shop", "list"], "/internal/shops", {}, SHOPS, ["bakery", "fr en", "simulated"]),
    (
        ["carts", "show", "--number", "10", "--customer", "FR.1"],
        "/internal/carts",
        {"phone_number_id": "10", "customer": "FR.1"},
        CART,
        ["Croissant", "5.60 EUR", "bien cuits"],
    ),
    (
        ["messages", "list", "--number", "10", "--customer", "+336"],
        "/internal/messages",
        {"phone_number_id": "10", "customer": "+336"},
        MESSAGES,
        ["bonjour", "Bienvenue", "read"],
    ),
    (["payments", "problems"], "/internal/payment-problems", {}, PROBLEMS, ["unknown_order", "8.20 EUR", "nobody's"]),
    (
        ["payments", "problems", "--shop", "bakery"],
        "/internal/payment-problems",
        {"shop": "bakery"},
        [],
        ["no payment needs a person"],
    ),
    (
        ["messages", "failed", "--number", "10"],
        "/internal/messages/failed",
        {"phone_number_id": "10"},
        FAILED,
        ["FR.1", "Bienvenue", "cannot be reached"],
    ),
    (
        ["messages", "failed", "--number", "10"],
        "/internal/messages/failed",
        {"phone_number_id": "10"},
        [],
        ["every message reached its customer"],
    ),
    (["conversations", "waiting", "--shop", "bakery"], "/internal/inbox", {"shop": "bakery"}, WAITING, ["FR.1"]),
    (
        ["sales", "show", "--shop", "bakery", "--day", "2026-07-01"],
        "/internal/sales",
        {"shop": "bakery", "day": "2026-07-01"},
        DAY,
        ["10.10 EUR", "3 carts"],
    ),
]


@pytest.mark.parametrize(("words", "path", "query", "document", "shown"), LOOK_UPS, ids=lambda v: str(v)[:20])
def test_prints_the_services_document_as_it_is_and_for_people(
    panier: Panier,
    services: FakeServices,
    words: list[str],
    path: str,
    query: dict[str, str],
    document: Any,
    shown: list[str],
) -> None:
    services.on("GET", path, document)
    done = panier(*words, "--json")
    assert (done.exit, done.err) == (0, "")
    assert done.document == document
    assert services.requests[-1].query == query
    people = panier(*words)
    assert people.exit == 0
    for text in shown:
        assert text in people.out


@pytest.mark.parametrize("state", ["awaiting_payment", "on_the_way", "refunded"])
def test_a_list_of_orders_is_whole_on_80_columns(
    panier: Panier, services: FakeServices, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    customer = {"user_id": "FR.13491208655302741918", "wa_id": None}
    services.on("GET", "/internal/orders", [{**ORDER, "state": state, "customer": customer, "total_minor": 1234567}])
    shown = panier("orders", "list", "--shop", "bakery").out
    assert max(map(len, shown.splitlines())) <= 80
    for whole in ("A-100", state, "12345.67 EUR"):
        assert whole in shown
    assert "…" not in shown
    assert customer["user_id"] in "".join(line.split()[-1] for line in shown.splitlines() if line.strip())


@pytest.mark.parametrize("what", ["advance", "cancel", "refund"])
def test_sends_a_command_with_a_key_of_its_own(panier: Panier, services: FakeServices, what: str) -> None:
    services.on("POST", f"/internal/orders/A-100/{what}", SHOWN)
    state = ["ready"] if what == "advance" else []
    assert panier("orders", what, "A-100", *state, "--json").document == SHOWN
    assert panier("orders", what, "A-100", *state, "--key", "mine").exit == 0
    first, second = services.requests
    assert json.loads(first.body) == ({"state": "ready"} if state else {})
    assert len(first.headers["idempotency-key"]) >= 32
    assert second.headers["idempotency-key"] == "mine"


def test_hands_a_conversation_back(panier: Panier, services: FakeServices) -> None:
    words = ["conversations", "hand-back", "--number", "10", "--customer", "FR.1"]
    done = {"conversation": "10:FR.1", "person": False}
    services.on("POST", "/internal/conversations/hand-back", done)
    assert panier(*words, "--json").document == done
    assert "10:FR.1" in panier(*words).out
    assert json.loads(services.requests[-1].body) == {"phone_number_id": "10", "customer": "FR.1"}
    assert len({request.headers["idempotency-key"] for request in services.requests}) == 2
    missing = problem("no_such_conversation", "this customer has not written to this number")
    services.on("POST", "/internal/conversations/hand-back", (404, missing))
    refused = panier(*words, "--json")
    assert (refused.exit, refused.error["code"]) == (1, "no_such_conversation")


def test_a_refusal_is_told_with_the_services_words(panier: Panier, services: FakeServices) -> None:
    services.on("POST", "/internal/orders/A-1/cancel", (409, problem("unlawful_move", "it is ready", "lawful: refund")))
    done = panier("orders", "cancel", "A-1", "--json")
    assert (done.exit, done.out) == (1, "")
    assert done.error == {"code": "unlawful_move", "message": "it is ready", "hint": "lawful: refund"}
    assert panier("orders", "cancel", "A-1").err == "panier: it is ready\n        lawful: refund\n"


def test_a_command_nobody_answered_can_be_sent_again_with_its_key(panier: Panier, services: FakeServices) -> None:
    services.on("POST", "/internal/orders/A-1/refund", (504, problem("not_decided_yet")))
    done = panier("orders", "refund", "A-1", "--json")
    assert done.exit == 1
    assert done.error["hint"].endswith(f"--key {services.requests[0].headers['idempotency-key']}")


@pytest.mark.parametrize(
    "words",
    [
        ["orders", "list"],
        ["orders", "list", "--shop", "bakery", "--since", "yesterday"],
        ["orders", "advance", "A-1"],
        ["sales", "show", "--shop", "bakery", "--day", "32"],
        ["dead", "list", "--service", "ingest"],
        ["catalog", "import", "--shop", "bakery"],
        ["orders", "eat"],
        ["simulate", "/nowhere/story.toml"],
        ["demo", "--without", "oven"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2_with_an_error_document(panier: Panier, services: FakeServices, words: list[str]) -> None:
    done = panier(*words, "--json")
    assert (done.exit, done.out) == (2, "")
    assert done.error["message"]
    assert services.requests == []


def test_without_a_stack_it_says_how_to_get_one(panier: Panier) -> None:
    done = panier("orders", "list", "--shop", "bakery", "--json")
    assert (done.exit, done.error["code"]) == (1, "not_running")
    assert "PANIER_CHECKOUT_ADMIN_URL" in done.error["hint"]


def test_a_service_that_is_gone_is_named(
    panier: Panier, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANIER_CART_ADMIN_URL", "http://127.0.0.1:1")
    done = panier("carts", "show", "--number", "1", "--customer", "2", "--json")
    assert (done.exit, done.error["code"]) == (1, "unreachable")
    assert "cart" in done.error["message"]


def test_the_token_may_be_in_a_file(
    panier: Panier, services: FakeServices, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services.on("GET", "/internal/shops", SHOPS)
    (tmp_path / "token").write_text("the-token\n")
    monkeypatch.delenv("PANIER_ADMIN_TOKEN")
    assert panier("shop", "list", "--json").error["code"] == "unauthorized"
    monkeypatch.setenv("PANIER_ADMIN_TOKEN_FILE", str(tmp_path / "token"))
    assert panier("shop", "list", "--json").exit == 0


def test_what_customers_wrote_does_not_steer_the_terminal(panier: Panier, services: FakeServices) -> None:
    text = "[bold]x[/bold] \x1b[31m\x07 👩‍🍳 \u202egnp"
    services.on("GET", "/internal/messages", [{**MESSAGES[0], "text": text}])
    people = panier("messages", "list", "--number", "1", "--customer", "2")
    assert "[bold]x[/bold] �[31m� 👩‍🍳 �gnp" in people.out
    assert panier("messages", "list", "--number", "1", "--customer", "2", "--json").document[0]["text"] == text


# -- catalogues and shops ---------------------------------------------------------------------------------


def feed_told(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


TAKEN = {"created": 2, "updated": 0, "unchanged": 1, "rejected": [{"row": 3, "reason": "`price` is empty"}]}
REFUSED = {"created": 0, "updated": 0, "unchanged": 0, "rejected": [{"row": 2, "reason": "`price` is empty"}]}


@pytest.mark.parametrize(("result", "ended"), [(TAKEN, 0), (REFUSED, 1)])
def test_imports_a_feed(
    panier: Panier, services: FakeServices, tmp_path: Path, result: dict[str, Any], ended: int
) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_bytes(b"id,title\n\xff")
    told = feed_told({"progress": {"done": 2, "total": 4}}, {"progress": {"done": 4, "total": 4}}, {"result": result})
    services.on("POST", "/internal/shops/bakery/products", told)
    done = panier("catalog", "import", "--shop", "bakery", str(feed), "--json")
    assert (done.exit, done.document) == (ended, result)
    assert services.requests[-1].body == feed.read_bytes()
    people = panier("catalog", "import", "--shop", "bakery", str(feed))
    assert "1 rejected" in people.out
    assert "`price` is empty" in people.out


def test_an_import_that_breaks_off_or_is_refused_fails(panier: Panier, services: FakeServices, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    words = ["catalog", "import", "--shop", "bakery", str(feed), "--json"]
    assert panier(*words).error["code"] == "no_file"
    feed.write_text("id\n")
    services.on("POST", "/internal/shops/bakery/products", feed_told({"progress": {"done": 1, "total": 4}}))
    assert panier(*words).error["code"] == "interrupted"
    services.on("POST", "/internal/shops/bakery/products", (404, problem("no_such_shop")))
    done = panier(*words)
    assert (done.exit, done.error["code"]) == (1, "no_such_shop")


SHOPS_FILE = """
[[shop]]
id = "bakery"
name = "Bakery"
languages = ["fr"]
currency = "EUR"
timezone = "Europe/Paris"
catalog_id = "1"
catalogue = "feed.csv"
[[shop.number]]
phone_number_id = "10"
display = "+33 6"
access_token_env = "BAKERY_TOKEN"
"""
FEED = (
    "id,title,description,availability,condition,price,link,image_link,brand\n"
    "c,Croissant,Good,in stock,new,1.40 EUR,https://x.example/c,https://x.example/c.png,Us\n"
)


@pytest.fixture
def shops_file(tmp_path: Path) -> Path:
    (tmp_path / "feed.csv").write_text(FEED)
    (tmp_path / "shops.toml").write_text(SHOPS_FILE)
    return tmp_path / "shops.toml"


def test_applies_a_shops_file_with_its_catalogues(panier: Panier, services: FakeServices, shops_file: Path) -> None:
    answer = {"shops": [{**SHOPS[0], "changed": True}], "catalogues": {"bakery": TAKEN}}
    services.on("PUT", "/internal/shops", answer)
    assert panier("shop", "apply", str(shops_file), "--json").document == answer
    sent = json.loads(services.requests[-1].body)
    assert sent["shops"][0]["number"][0]["phone_number_id"] == "10"
    assert sent["catalogues"] == {"bakery": FEED}
    assert "bakery: changed" in panier("shop", "apply", str(shops_file)).out


def test_a_shops_file_that_cannot_be_read_is_not_applied(
    panier: Panier, services: FakeServices, shops_file: Path
) -> None:
    (shops_file.parent / "feed.csv").unlink()
    assert panier("shop", "apply", str(shops_file), "--json").error["code"] == "bad_catalogue"
    shops_file.write_text("[[shop")
    assert panier("shop", "apply", str(shops_file), "--json").error["code"] == "bad_shops_file"
    assert services.requests == []


def test_checks_a_shops_file_without_the_network(
    panier: Panier, monkeypatch: pytest.MonkeyPatch, shops_file: Path
) -> None:
    monkeypatch.setenv("BAKERY_TOKEN", "t")
    done = panier("shop", "check", str(shops_file), "--json")
    assert (done.exit, done.document["ok"], done.document["faults"]) == (0, True, [])
    assert done.document["shops"][0]["catalogue"] == {"products": 1, "rejected": 0}
    assert "nothing is wrong" in panier("shop", "check", str(shops_file)).out


def test_names_every_fault_of_a_shops_file(panier: Panier, shops_file: Path) -> None:
    (shops_file.parent / "feed.csv").write_text(FEED + "d,Danish,Good,in stock,new,free,,,Us\n")
    shops_file.write_text(SHOPS_FILE + SHOPS_FILE.replace('"bakery"', '"twin"'))
    done = panier("shop", "check", str(shops_file), "--json")
    assert done.exit == 1
    faults = "\n".join(done.document["faults"])
    assert "phone_number_id 10 is used by `bakery` and `twin`" in faults
    assert "the variable BAKERY_TOKEN with the access token is not set" in faults
    assert "feed.csv row 3: `price`" in faults
    shops_file.write_text(SHOPS_FILE.replace("EUR", "EURO"))
    assert panier("shop", "check", str(shops_file), "--json").document["faults"][0].startswith("shop[0].currency")


def test_asks_the_graph_api_about_the_numbers(
    panier: Panier, services: FakeServices, monkeypatch: pytest.MonkeyPatch, shops_file: Path
) -> None:
    monkeypatch.setenv("BAKERY_TOKEN", "the-token")
    monkeypatch.setenv("PANIER_GRAPH_URL", f"{services.url}/graph")
    known = {"id": "10", "display_phone_number": "+33 6", "verified_name": "Bakery", "quality_rating": "GREEN"}
    services.on("GET", "/graph/v26.0/10", known)
    done = panier("shop", "check", str(shops_file), "--online", "--json")
    assert done.exit == 0
    assert done.document["shops"][0]["numbers"][0]["graph"] == known
    services.on("GET", "/graph/v26.0/10", (401, {"error": {"message": "Invalid OAuth access token.", "code": 190}}))
    refused = panier("shop", "check", str(shops_file), "--online", "--json")
    assert refused.exit == 1
    assert "Invalid OAuth access token. (code 190)" in refused.document["faults"][0]


# -- dead letters -----------------------------------------------------------------------------------------


def letter(name: str, at: str) -> dict[str, Any]:
    place = {"topic": "panier.inbound.v1", "partition": 0, "offset": 7}
    return {"id": name, "service": "cart", **place, "reason": "ValueError", "at": at, "trace_id": None}


def test_dead_letters_of_all_services_or_one(panier: Panier, services: FakeServices) -> None:
    asked = iter(range(9))

    def answer(_: Request) -> Any:
        return [letter(f"l{(n := next(asked))}", f"2026-07-01T08:00:0{n}Z")]

    services.on("GET", "/internal/dead-letters", answer)
    done = panier("dead", "list", "--json")
    assert [one["id"] for one in done.document] == ["l4", "l3", "l2", "l1", "l0"]
    assert [one["id"] for one in panier("dead", "list", "--service", "cart", "--json").document] == ["l5"]


def test_a_dead_letter_is_found_shown_replayed_and_dropped(panier: Panier, services: FakeServices) -> None:
    missing = (404, problem("no_such_dead_letter"))
    shown = {**letter("l1", "2026-07-01T08:00:00Z"), "headers": {"ce_id": "9"}, "bytes": 4}
    turns = iter([missing, missing, shown])
    services.on("GET", "/internal/dead-letters/l1", lambda _: next(turns))
    services.on("POST", "/internal/dead-letters/l1/replay", {"id": "l1", "state": "replaying"})
    services.on("DELETE", "/internal/dead-letters/l1", {"id": "l1", "state": "dropped"})
    assert panier("dead", "show", "l1", "--json").document == shown
    assert panier("dead", "replay", "l1", "--json").document["state"] == "replaying"
    assert "l1: dropped" in panier("dead", "drop", "l1").out
    services.on("GET", "/internal/dead-letters/l2", missing)
    gone = panier("dead", "show", "l2", "--json")
    assert (gone.exit, gone.error["code"]) == (1, "no_such_dead_letter")


def test_a_dead_letter_is_read_whole_and_mended_by_somebody(
    panier: Panier, services: FakeServices, tmp_path: Path
) -> None:
    services.on("GET", "/internal/dead-letters/l1", lambda asked: {"whole": asked.query.get("whole"), "acts": []})
    services.on("PUT", "/internal/dead-letters/l1/value", {"id": "l1", "state": "edited"})
    assert panier("dead", "show", "l1", "--json").document["whole"] is None
    assert panier("dead", "show", "l1", "--whole", "--by", "ada", "--json").document["whole"] == "true"
    mended = tmp_path / "mended.json"
    mended.write_text('{"sku": "é"}', "utf-8")
    assert panier("dead", "edit", "l1", str(mended), "--by", "ada", "--json").document["state"] == "edited"
    [*_, asked] = services.requests
    assert (json.loads(asked.body), asked.headers["x-panier-by"]) == ({"sku": "é"}, "ada")
    mended.write_text("{")
    assert panier("dead", "edit", "l1", str(mended), "--json").exit == 2
    assert panier("dead", "replay", "--json").exit == 2


def test_all_dead_letters_of_a_kind_are_replayed_a_thousand_at_a_time(panier: Panier, services: FakeServices) -> None:
    one = {**letter("l1", "2026-07-01T08:00:00Z"), "loop": "cart.conversations"}
    services.on("GET", "/internal/dead-letters/l1", one)
    turns = iter([(1000, True), (7, False)])

    def some(asked: Request) -> Any:
        assert asked.query == {"loop": "cart.conversations", "reason": "ValueError"}
        letters, more = next(turns)
        return {"service": "cart", "letters": letters, "more": more}

    services.on("POST", "/internal/dead-letters/alike/replay", some)
    done = panier("dead", "replay", "--like", "l1", "--json")
    assert done.document == {"service": "cart", "reason": "ValueError", "letters": 1007, "state": "replaying"}


def test_dead_letters_are_counted_and_their_history_is_told(panier: Panier, services: FakeServices) -> None:
    times = {"oldest": "2026-07-01T08:00:00Z", "newest": "2026-07-01T09:00:00Z"}
    count = {"loop": "cart.conversations", "topic": "panier.inbound.v1", "reason": "ValueError", "letters": 5, **times}
    act = {"letter": "l1", "service": "cart", "act": "dropped", "by": "ada", "at": times["newest"], "reason": "E"}
    services.on("GET", "/internal/dead-letters/counts", [count])
    services.on("GET", "/internal/dead-letters/acts", [act])
    assert panier("dead", "count", "--service", "cart", "--json").document == [count]
    assert "ValueError" in panier("dead", "count", "--service", "cart").out
    assert panier("dead", "history", "--service", "cart", "--json").document == [act]
    assert "ada" in panier("dead", "history", "--service", "cart").out


# -- the command itself -----------------------------------------------------------------------------------


def test_a_word_imports_only_what_it_needs() -> None:
    """Commands are called in loops by scripts; what is slow to import is only imported where it is used."""
    slow = "{'aiohttp', 'asyncpg', 'aiokafka', 'babel', 'asyncio'}"
    code = f"import sys; from panier_cli.app import build; build(['orders', 'list']); print({slow} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_every_word_has_its_command(panier: Panier) -> None:
    shown = panier("--help").out
    for word in COMMANDS:
        assert f" {word} " in shown
        assert panier(word, "--help").exit == 0
