"""`panier templates`: what the file says is what Meta has, and Meta's refusals are told."""

import json
from pathlib import Path
from typing import Any

import pytest
from panier_cli import templates
from panier_cli.errors import Refused

from .conftest import Panier
from .fake_services import TOKEN, FakeServices, Request

SHOPS_FILE = """
[[shop]]
id = "bakery"
name = "Bakery"
languages = ["fr"]
currency = "EUR"
timezone = "Europe/Paris"
catalog_id = "1"
business_account_id = "102290129340398"

[[shop.number]]
phone_number_id = "10"
display = "+33 6"
access_token_env = "BAKERY_TOKEN"
"""
TEMPLATES = """
[[template]]
name = "order_ready"
[template.language.fr]
body = "Votre commande {{1}} est prête."
footer = "Boulangerie"
example = ["A-12"]
[template.language.en_US]
body = "Your order {{1}} is ready."
example = ["A-12"]

[[template]]
name = "closed"
category = "MARKETING"
[template.language.fr]
body = "Nous sommes fermés."
"""
ACCOUNT = "/v26.0/102290129340398/message_templates"
EXAMPLE = Path(__file__).parents[2] / "examples" / "bakery" / "templates.toml"


@pytest.fixture
def file(tmp_path: Path, services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shops.toml").write_text(SHOPS_FILE)
    (tmp_path / "templates.toml").write_text(TEMPLATES)
    monkeypatch.setenv("PANIER_SHOPS", str(tmp_path / "shops.toml"))
    monkeypatch.setenv("BAKERY_TOKEN", TOKEN)
    monkeypatch.setenv("PANIER_GRAPH_URL", services.url)
    return tmp_path / "templates.toml"


def at_meta(name: str, language: str, body: str, **more: Any) -> dict[str, Any]:
    components = [{"type": "BODY", "text": body, "example": {"body_text": [["x"]]}}]
    components += [{"type": "FOOTER", "text": more.pop("footer")}] if "footer" in more else []
    return {
        "id": f"{name}-{language}",
        "name": name,
        "language": language,
        "status": "APPROVED",
        "category": "UTILITY",
        "components": components,
        **more,
    }


def test_brings_meta_in_step_with_the_file(panier: Panier, services: FakeServices, file: Path) -> None:
    known = [
        at_meta("order_ready", "fr", "Votre commande {{1}} est prête.", footer="Boulangerie"),
        at_meta("order_ready", "en_US", "It is ready: {{1}}."),
        at_meta("somebody_elses", "fr", "Bonjour."),
    ]
    services.on("GET", ACCOUNT, {"data": known})
    services.on("POST", ACCOUNT, {"id": "9", "status": "PENDING", "category": "MARKETING"})
    services.on("POST", "/v26.0/order_ready-en_US", {"success": True})
    done = panier("templates", "apply", str(file), "--shop", "bakery", "--json")
    assert done.exit == 0
    assert done.document == {
        "created": [{"name": "closed", "language": "fr", "status": "PENDING"}],
        "updated": [{"name": "order_ready", "language": "en_US"}],
        "unchanged": [{"name": "order_ready", "language": "fr", "status": "APPROVED"}],
        "refused": [],
        "lacking": [],
    }
    posted = {r.path: json.loads(r.body) for r in services.requests if r.method == "POST"}
    assert posted[ACCOUNT] == {
        "name": "closed",
        "language": "fr",
        "category": "MARKETING",
        "components": [{"type": "BODY", "text": "Nous sommes fermés."}],
    }
    assert posted["/v26.0/order_ready-en_US"]["components"] == [
        {"type": "BODY", "text": "Your order {{1}} is ready.", "example": {"body_text": [["A-12"]]}}
    ]


def test_applying_twice_changes_nothing(panier: Panier, services: FakeServices, file: Path) -> None:
    held: list[dict[str, Any]] = []

    def create(request: Request) -> Any:
        document = json.loads(request.body)
        held.append({"id": str(len(held)), "status": "PENDING", **document})
        return {"id": str(len(held)), "status": "PENDING"}

    services.on("GET", ACCOUNT, lambda _: {"data": held})
    services.on("POST", ACCOUNT, create)
    first = panier("templates", "apply", str(file), "--shop", "bakery", "--json").document
    again = panier("templates", "apply", str(file), "--shop", "bakery", "--json").document
    assert (len(first["created"]), len(again["created"]), len(again["unchanged"])) == (3, 0, 3)


def test_one_that_meta_refuses_stops_no_other(panier: Panier, services: FakeServices, file: Path) -> None:
    def create(request: Request) -> Any:
        if json.loads(request.body)["name"] == "closed":
            return {"id": "1", "status": "PENDING"}
        return 400, {"error": {"message": "Invalid parameter", "code": 100, "error_user_msg": "Too short."}}

    services.on("GET", ACCOUNT, {"data": []})
    services.on("POST", ACCOUNT, create)
    done = panier("templates", "apply", str(file), "--shop", "bakery", "--json")
    assert done.exit == 1
    assert [one["name"] for one in done.document["created"]] == ["closed"]
    assert {one["reason"] for one in done.document["refused"]} == {"the Graph API says: Too short. (code 100)"}
    assert "Too short." in panier("templates", "apply", str(file), "--shop", "bakery").out


def test_a_language_of_the_shop_that_the_file_lacks_is_told(panier: Panier, services: FakeServices, file: Path) -> None:
    """Orders in `fr-FR` would ask for `fr_FR`, which Meta does not know."""
    (file.parent / "shops.toml").write_text(SHOPS_FILE.replace('["fr"]', '["fr-FR", "en-US"]'))
    services.on("GET", ACCOUNT, {"data": []})
    services.on("POST", ACCOUNT, {"id": "1", "status": "PENDING"})
    done = panier("templates", "apply", str(file), "--shop", "bakery", "--json")
    assert done.exit == 0
    assert done.document["lacking"] == [
        {"name": "order_ready", "language": "fr_FR"},
        {"name": "closed", "language": "fr_FR"},
        {"name": "closed", "language": "en_US"},
    ]
    assert "closed en_US: the shop speaks" in panier("templates", "apply", str(file), "--shop", "bakery").out


def test_lists_all_pages(panier: Panier, services: FakeServices, file: Path) -> None:
    def page(request: Request) -> Any:
        if "after" not in request.query:
            paging = {"cursors": {"after": "c1"}, "next": "https://graph/next"}
            return {"data": [at_meta("order_ready", "fr", "x")], "paging": paging}
        assert request.query["after"] == "c1"
        return {"data": [at_meta("closed", "fr", "y", status="REJECTED", rejected_reason="ABUSIVE")]}

    services.on("GET", ACCOUNT, page)
    found = panier("templates", "list", "--shop", "bakery", "--json").document
    assert [(one["name"], one["status"]) for one in found] == [("order_ready", "APPROVED"), ("closed", "REJECTED")]
    assert "ABUSIVE" in panier("templates", "list", "--shop", "bakery").out


def test_says_what_is_missing(
    panier: Panier, services: FakeServices, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def code(*words: str) -> str:
        return panier("templates", *words, "--json").error["code"]

    assert code("list", "--shop", "nobody") == "no_such_shop"
    services.on("GET", ACCOUNT, (401, {"error": {"message": "Invalid token", "code": 190}}))
    assert code("list", "--shop", "bakery") == "graph_refused"
    monkeypatch.delenv("BAKERY_TOKEN")
    assert code("list", "--shop", "bakery") == "no_token"
    (file.parent / "shops.toml").write_text(SHOPS_FILE.replace("business_account_id", "# "))
    assert code("list", "--shop", "bakery") == "no_business_account"
    monkeypatch.setenv("PANIER_SHOPS", str(file.parent / "none.toml"))
    assert code("list", "--shop", "bakery") == "bad_shops_file"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "there is no [[template]]"),
        ("[[template", "cannot be read"),
        ("template = [1]", "a template is a table"),
        (TEMPLATES.replace('"closed"', '"Closed!"'), "small letters"),
        (TEMPLATES.replace("MARKETING", "FUN"), "a category is one of"),
        (TEMPLATES.replace("MARKETING", "UTILITY").replace("category", "colour"), "nobody knows colour"),
        (TEMPLATES.replace("[template.language.en_US]", "[template.language.english]"), "a language is like"),
        (TEMPLATES.replace('example = ["A-12"]', ""), "each with an example"),
        (TEMPLATES.replace("{{1}}", "{{2}}"), "each with an example"),
        (TEMPLATES.replace("Nous sommes fermés.", "x" * 1025), "1 to 1024"),
        (TEMPLATES.replace('"Boulangerie"', f'"{"x" * 61}"'), "at most 60"),
        ('[[template]]\nname = "a"', "no language"),
        (TEMPLATES.replace('"closed"', '"order_ready"'), "a language twice"),
    ],
)
def test_names_the_mistakes_of_a_file(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(Refused, match=fault.replace("[", r"\[")):
        templates.read(tmp_path / "t.toml")


def test_the_examples_templates_are_right() -> None:
    found = templates.read(EXAMPLE)
    assert {one.language for one in found} == {"fr", "en"}
    assert len({one.name for one in found}) * 2 == len(found)
