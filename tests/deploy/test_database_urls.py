"""The databases' addresses that External Secrets puts together: whatever the password, PostgreSQL's clients read it."""

import re
from collections.abc import Callable
from urllib.parse import quote_plus, unquote, urlsplit

import pytest
from known_settings import ROOT, WITH_DATABASE
from platform_rules import named
from render import render

PRODUCTION = ROOT / "deploy" / "k8s" / "overlays" / "production"
PASSWORDS = ("hunter2", "hunter/2+c==", "a b+c", "p@ss:w?rd#[1]%2F&é", '"quoted" \\')
# Go's own `urlquery` (of which a blank is a plus) and sprig's `replace`, as templates of External Secrets have them.
FUNCTIONS: dict[str, Callable[..., str]] = {
    "urlquery": quote_plus,
    "replace": lambda old, new, text: text.replace(old, new),
}

# kustomize is built on the first machine that has none.
pytestmark = pytest.mark.timeout(900)


def filled(template: str, password: str) -> str:
    """What the template comes to: `{{ .password | function "argument" … }}`."""

    def value(match: re.Match[str]) -> str:
        first, *others = (part.strip() for part in match[1].split("|"))
        assert first == ".password"
        told = password
        for name, *arguments in (re.findall(r'"[^"]*"|\w+', other) for other in others):
            told = FUNCTIONS[name](*(argument.strip('"') for argument in arguments), told)
        return told

    return re.sub(r"\{\{([^}]*)\}\}", value, template)


def templates(name: str) -> dict[str, str]:
    made: dict[str, str] = named(render(PRODUCTION), "ExternalSecret")[name]["spec"]["target"]["template"]["data"]
    return made


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("of", ["database", "owner"])
@pytest.mark.parametrize("service", WITH_DATABASE)
def test_the_password_of_the_url_is_that_of_the_role(service: str, of: str, password: str) -> None:
    data = templates(f"panier-{service}-{of}")
    role = f"panier_{service}" + ("_owner" if of == "owner" else "")
    assert filled(data["password"], password) == password
    assert data["username"] == role
    url = urlsplit(filled(data["url"], password))
    assert (url.hostname, url.port, url.path) == (f"panier-{service}-db-rw", 5432, f"/panier_{service}")
    assert (url.username, unquote(url.password or "")) == (role, password)
