"""The business as Meta has it: the states of numbers, the templates of accounts, and the webhooks about both."""

import secrets
from functools import partial
from typing import Any

from panier_simulator import numbers, templates, webhooks
from panier_simulator.clock import Clock
from panier_simulator.courier import Courier
from panier_simulator.errors import GraphError
from panier_simulator.limits import Rates
from panier_simulator.numbers import NumberState
from panier_simulator.shops import Number, Shop, Shops
from panier_simulator.store import Store

Json = dict[str, Any]
# Meta gives every account a template to try.
SAMPLE: Json = {
    "name": "hello_world",
    "language": "en_US",
    "category": "UTILITY",
    "parameter_format": "POSITIONAL",
    "components": [{"type": "BODY", "text": "Welcome! This message shows that templates work."}],
    "id": "1",
    "status": "APPROVED",
}


class Business:
    """One per process. `check_templates` refuses templates that are not known even to an account without any."""

    def __init__(
        self,
        store: Store,
        shops: Shops,
        courier: Courier,
        clock: Clock,
        rates: Rates,
        check_templates: bool,
        review_seconds: float,
    ) -> None:
        self._store = store
        self._shops = shops
        self._courier = courier
        self._clock = clock
        self._rates = rates
        self._check_templates = check_templates
        self._review_seconds = review_seconds
        self._numbers = {key: NumberState(**state) for key, state in store.number_states().items()}
        self._templates: dict[str, tuple[str, Json]] = {}
        for account, template in store.templates():
            self._templates[template["id"]] = (account, template)
        for number, state in self._numbers.items():
            self._set_limit(number, state)

    def resume(self) -> None:
        """Go on with the reviews that were under way when the simulator stopped."""
        for template_id, (_, template) in self._templates.items():
            if template["status"] == "PENDING":
                self._review_later(template_id)

    # Numbers

    def number(self, phone_number_id: str) -> NumberState:
        return self._numbers.get(phone_number_id, NumberState())

    def change_number(self, shop: Shop, number: Number, state: NumberState) -> None:
        """Take the new state of a number and tell the shop what Meta would tell it."""
        before = self.number(number.phone_number_id)
        self._numbers[number.phone_number_id] = state
        self._set_limit(number.phone_number_id, state)
        updates = numbers.quality_updates(number.digits, before, state, self._rates.messages_per_second)
        with self._store.together():
            self._store.set_number_state(number.phone_number_id, state.model_dump())
            for value in updates:
                self._tell(shop, "phone_number_quality_update", value)
            for value in numbers.account_updates(before, state):
                self._tell(shop, "account_update", value)

    def _set_limit(self, phone_number_id: str, state: NumberState) -> None:
        self._rates.limits.pop(phone_number_id, None)
        if state.messages_per_second is not None:
            self._rates.limits[phone_number_id] = state.messages_per_second

    # Templates

    def shop_of(self, account_id: str) -> Shop | None:
        return next((shop for shop in self._shops.all.values() if shop.account_id == account_id), None)

    def templates(self, account_id: str) -> list[Json]:
        return [SAMPLE, *(template for account, template in self._templates.values() if account == account_id)]

    def template(self, template_id: str) -> Json | None:
        found = self._templates.get(template_id)
        return found[1] if found else None

    def create_template(self, shop: Shop, body: Any) -> Json:
        """Keep it for review. Raises GraphError when Meta would not take it."""
        new = templates.judge_new(body)
        if self._find(shop.account_id, new["name"], new["language"]):
            text = "There is already a template with this name in this language"
            raise GraphError(100, text, subcode=2388024)
        template = {**new, "id": str(secrets.randbelow(9 * 10**14) + 10**14), "status": "PENDING"}
        self._keep(shop.account_id, template)
        self._review_later(template["id"])
        return template

    def edit_template(self, template_id: str, body: Json) -> None:
        """New components or category: reviewed again."""
        account, template = self._templates[template_id]
        changed = templates.judge_new({**template, **body, "name": template["name"], "language": template["language"]})
        self._keep(account, {**template, **changed, "status": "PENDING"})
        self._review_later(template_id)

    def delete_templates(self, account_id: str, name: str, template_id: str | None) -> bool:
        """All languages of a name, or the one with that id."""
        doomed = [
            key
            for key, (account, template) in self._templates.items()
            if account == account_id and template["name"] == name and template_id in (None, key)
        ]
        for key in doomed:
            del self._templates[key]
            self._store.remove_template(key)
        return bool(doomed)

    def set_template_status(self, template_id: str, status: str, reason: str | None = None) -> None:
        """Meta approves, rejects, pauses or disables one, and says so by a webhook."""
        account, template = self._templates[template_id]
        shop = self.shop_of(account)
        template = {**template, "status": status, **({"rejected_reason": reason} if reason else {})}
        with self._store.together():
            self._keep(account, template)
            if shop is not None:
                value = templates.status_update(template, status, reason)
                self._tell(shop, "message_template_status_update", value)

    def fitting_template(self, shop: Shop, body: Json) -> Json | None:
        """The template of a message that fits it; None where templates are not checked. Raises GraphError."""
        if body["type"] != "template":
            return None
        sent = body["template"]
        name, language = sent["name"], sent["language"]["code"]
        found = self._find(shop.account_id, name, language)
        if found is not None:
            templates.check_message(found, sent)
        elif self._check_templates or any(account == shop.account_id for account, _ in self._templates.values()):
            raise templates.missing(name, language)
        return found

    def category(self, shop: Shop, body: Json) -> str | None:
        """The category of a message's template, when it is known."""
        if body.get("type") != "template":
            return None
        found = self._find(shop.account_id, body["template"]["name"], body["template"]["language"]["code"])
        return str(found["category"]) if found else None

    def _find(self, account_id: str, name: str, language: str) -> Json | None:
        for template in self.templates(account_id):
            if template["name"] == name and template["language"] == language:
                return template
        return None

    def _keep(self, account_id: str, template: Json) -> None:
        self._templates[template["id"]] = (account_id, template)
        self._store.set_template(account_id, template)

    def _review_later(self, template_id: str) -> None:
        self._clock.call_at(self._clock.now() + self._review_seconds, partial(self._review, template_id))

    def _review(self, template_id: str) -> None:
        template = self.template(template_id)
        if template is not None and template["status"] == "PENDING":
            reason = templates.review(template)
            self.set_template_status(template_id, "REJECTED" if reason else "APPROVED", reason)

    def _tell(self, shop: Shop, field: str, value: Json) -> None:
        document = webhooks.account(shop, field, value, self._clock.now())
        lane = f"account/{shop.account_id}"
        self._courier.send("whatsapp", lane, f"account/{field}", webhooks.encode(document))
