"""Message templates: what the shop's file says they are, what Meta has of them, and bringing the two in step.

A template is a name and, in each language, a text that Meta approves before it may be sent outside the 24 hours.
What Meta has and the file does not name stays as it is: applying adds and changes, it never takes away.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from panier_catalog.shops import ShopsError, ShopTable
from panier_catalog.shops import parse as parse_shops

from panier_cli.data_folder import DataFolder, data_path
from panier_cli.errors import Refused
from panier_cli.shops_check import GRAPH
from panier_cli.stack.environment import given, has

CATEGORIES = ("UTILITY", "MARKETING")
BODY_LIMIT, FOOTER_LIMIT = 1024, 60
_NAME = re.compile(r"[a-z0-9_]{1,512}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")
_PLACE = re.compile(r"\{\{(\d+)\}\}")
_SECONDS = 30.0
_PAGE = 100


@dataclass(frozen=True)
class Template:
    """One template in one language; `example` has a value for each of the body's placeholders."""

    name: str
    language: str
    category: str
    body: str
    footer: str = ""
    example: tuple[str, ...] = ()

    def components(self) -> list[dict[str, Any]]:
        """The template's parts, as Meta's message_templates takes them."""
        body: dict[str, Any] = {"type": "BODY", "text": self.body}
        if self.example:
            body["example"] = {"body_text": [list(self.example)]}
        return [body, *([{"type": "FOOTER", "text": self.footer}] if self.footer else [])]

    def is_said_by(self, found: Mapping[str, Any]) -> bool:
        """Whether Meta's template says the same."""
        texts = {part.get("type"): part.get("text") for part in found.get("components", ()) if isinstance(part, dict)}
        wanted = {"BODY": self.body, **({"FOOTER": self.footer} if self.footer else {})}
        return texts == wanted and found.get("category") == self.category


def read(file: Path) -> list[Template]:
    """The templates of a TOML file. Raises Refused with every mistake found."""
    try:
        tables = tomllib.loads(file.read_text("utf-8")).get("template", [])
    except (OSError, ValueError) as error:
        raise Refused("bad_templates_file", f"the templates file {file} cannot be read: {error}") from error
    faults: list[str] = []
    found = [one for table in tables for one in _templates(table, faults)]
    if not found and not faults:
        faults.append("there is no [[template]]")
    if len({(one.name, one.language) for one in found}) < len(found):
        faults.append("a name has a language twice")
    if faults:
        raise Refused("bad_templates_file", f"{file}: {'; '.join(faults)}")
    return found


def _templates(table: Any, faults: list[str]) -> list[Template]:
    if not isinstance(table, dict):
        faults.append("a template is a table: [[template]]")
        return []
    name, category = str(table.get("name", "")), str(table.get("category", "UTILITY"))
    if not _NAME.fullmatch(name):
        faults.append(f"`{name}`: a name has small letters, digits and `_`")
    if category not in CATEGORIES:
        faults.append(f"`{name}`: a category is one of {', '.join(CATEGORIES)}")
    unknown = table.keys() - {"name", "category", "language"}
    if unknown:
        faults.append(f"`{name}`: nobody knows {', '.join(sorted(unknown))}")
    languages = table.get("language", {})
    if not isinstance(languages, dict) or not languages:
        faults.append(f"`{name}`: no language: [template.language.fr]")
        return []
    return [_template(name, category, language, texts, faults) for language, texts in languages.items()]


def _template(name: str, category: str, language: str, texts: Any, faults: list[str]) -> Template:
    texts = texts if isinstance(texts, dict) else {}
    body, footer = str(texts.get("body", "")), str(texts.get("footer", ""))
    example = tuple(str(value) for value in texts.get("example", ()))
    where = f"`{name}` in {language}"
    if not _LANGUAGE.fullmatch(language):
        faults.append(f"{where}: a language is like fr or en_US")
    if not 1 <= len(body) <= BODY_LIMIT:
        faults.append(f"{where}: the body has 1 to {BODY_LIMIT} characters")
    if len(footer) > FOOTER_LIMIT:
        faults.append(f"{where}: the footer has at most {FOOTER_LIMIT} characters")
    places = sorted({int(place) for place in _PLACE.findall(body)})
    if places != list(range(1, len(example) + 1)):
        faults.append(f"{where}: placeholders are {{{{1}}}}, {{{{2}}}}… each with an example")
    return Template(name, language, category, body, footer, example)


@dataclass(frozen=True)
class Account:
    """A shop's WhatsApp business account at the Graph API."""

    id: str
    token: str = field(repr=False)
    url: str
    version: str

    def listed(self) -> list[dict[str, Any]]:
        """Every template Meta has, page by page."""
        query = {"fields": "id,name,language,status,category,components,rejected_reason", "limit": str(_PAGE)}
        found: list[dict[str, Any]] = []
        while True:
            page = self._ask("GET", f"{quote(self.id, safe='')}/message_templates?{urlencode(query)}")
            found += page.get("data", [])
            after = page.get("paging", {}).get("cursors", {}).get("after")
            if not after or not page.get("paging", {}).get("next"):
                return found
            query["after"] = after

    def create(self, template: Template) -> dict[str, Any]:
        document = {
            "name": template.name,
            "language": template.language,
            "category": template.category,
            "components": template.components(),
        }
        return self._ask("POST", f"{quote(self.id, safe='')}/message_templates", document)

    def change(self, template_id: str, template: Template) -> dict[str, Any]:
        document = {"category": template.category, "components": template.components()}
        return self._ask("POST", quote(template_id, safe=""), document)

    def _ask(self, method: str, where: str, document: Any = None) -> dict[str, Any]:
        """Meta's answer. Raises Refused with Meta's own reason."""
        parts = urlsplit(self.url.rstrip("/"))
        connection = (
            http.client.HTTPConnection(parts.netloc, timeout=_SECONDS)
            if parts.scheme == "http"
            else http.client.HTTPSConnection(parts.netloc, timeout=_SECONDS, context=ssl.create_default_context())
        )
        body = None if document is None else json.dumps(document).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, f"{parts.path}/{self.version}/{where}", body, headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Refused("graph_unreachable", f"the Graph API does not answer ({type(error).__name__})") from error
        finally:
            connection.close()
        if answer.status != http.client.OK or not isinstance(said, dict):
            raise Refused("graph_refused", _reason(said, answer.status))
        return said


def _reason(said: Any, status: int) -> str:
    error = said.get("error", {}) if isinstance(said, dict) else {}
    why = error.get("error_user_msg") or error.get("message") or f"status {status}"
    return f"the Graph API says: {why} (code {error.get('code')})"


def lacking(shop: ShopTable, wanted: Sequence[Template]) -> list[dict[str, str]]:
    """The templates that the file does not have in a language of the shop's, in which checkout will ask for them."""
    written = {(one.name, one.language) for one in wanted}
    spoken = [language.replace("-", "_") for language in shop.languages]
    names = dict.fromkeys(one.name for one in wanted)
    return [{"name": name, "language": each} for name in names for each in spoken if (name, each) not in written]


def account_of(shop: ShopTable, shops_file: Path, env: Mapping[str, str]) -> Account:
    """The shop's business account, with the token of its first number."""
    if shop.business_account_id is None:
        raise Refused(
            "no_business_account",
            f"shop `{shop.id}` has no business_account_id",
            f"add it to {shops_file}: Meta's id of the WhatsApp business account",
        )
    name = shop.number[0].access_token_env
    token = given(env, name) if has(env, name) else DataFolder(data_path(env)).known_secret(name)
    if not token:
        raise Refused("no_token", f"the variable {name} with the access token is not set")
    return Account(
        shop.business_account_id,
        token,
        env.get("PANIER_GRAPH_URL") or GRAPH,
        env.get("PANIER_GRAPH_VERSION") or "v26.0",
    )


def shop_of(shop_id: str, file: Path) -> ShopTable:
    """A shop of the shops file. Raises Refused."""
    try:
        shops = parse_shops(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ShopsError) as error:
        raise Refused(
            "bad_shops_file", f"the shops file {file} cannot be read: {error}", "see `panier shop check`"
        ) from error
    found = next((shop for shop in shops.shop if shop.id == shop_id), None)
    if found is None:
        raise Refused("no_such_shop", f"there is no shop `{shop_id}` in {file}", "name another file by PANIER_SHOPS")
    return found


def apply(account: Account, wanted: list[Template]) -> dict[str, Any]:
    """Create what Meta lacks and change what says something else; one that is refused stops no other."""
    known = {(one.get("name"), one.get("language")): one for one in account.listed()}
    done: dict[str, Any] = {"created": [], "updated": [], "unchanged": [], "refused": []}
    for template in wanted:
        found = known.get((template.name, template.language))
        document = {"name": template.name, "language": template.language}
        try:
            if found is None:
                status = account.create(template).get("status")
                done["created"].append({**document, "status": status})
            elif template.is_said_by(found):
                done["unchanged"].append({**document, "status": found.get("status")})
            else:
                account.change(str(found.get("id")), template)
                done["updated"].append(document)
        except Refused as refused:
            if refused.code != "graph_refused":
                raise
            done["refused"].append({**document, "reason": str(refused)})
    return done
