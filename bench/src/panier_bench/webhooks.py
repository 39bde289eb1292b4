"""The benchmarks' own webhooks: signed with their secret, of one size."""

from panier_cli.load import webhooks

SECRET = "bench-app-secret"
BODY_BYTES = 700


def of_size(number: str, customer: str, wamid: str, at: int, size: int = BODY_BYTES) -> bytes:
    """A text message in a webhook of that many bytes: something between a word and a long question."""
    bare = len(webhooks.webhook(number, customer, wamid, at, webhooks.text("")))
    question = ("avez-vous encore des croissants ? " * (size // 34 + 1))[: max(1, size - bare)]
    return webhooks.webhook(number, customer, wamid, at, webhooks.text(question))


def request(body: bytes) -> bytes:
    return webhooks.request(body, SECRET)
