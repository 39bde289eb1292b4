"""Who a customer is on the wire: the conversation's key, and which of the ids stands for the customer."""

import re

from panier_common.contracts.events import Customer

# Meta: two letters of a country, a dot, perhaps `ENT.` for a parent, up to 128 letters and digits (May 2026).
_USER_ID = re.compile(r"^[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}\Z")


def is_user_id(text: str) -> bool:
    """Whether this is a business-scoped user id, wherever it was found."""
    return _USER_ID.match(text) is not None


def customer_key(customer: Customer) -> str | None:
    """The user id, else the WhatsApp id; None when there is neither."""
    return customer.user_id or customer.wa_id


def conversation_of(phone_number_id: str, customer: str) -> str:
    """The key of everything between one number of a shop and one customer."""
    return f"{phone_number_id}:{customer}"


def customer_in(conversation: str) -> Customer:
    """The customer by the one id that a conversation's key shows."""
    _, _, shown = conversation.partition(":")
    return Customer(user_id=shown) if is_user_id(shown) else Customer(wa_id=shown)
