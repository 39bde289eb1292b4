"""The internal API: conversations to read, the inbox, and handing a conversation back to the machine."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Header
from panier_common.contracts.events import FloorReturned
from panier_common.event import caused_id
from panier_common.identity import conversation_of, customer_in
from panier_common.kafka import Producer
from panier_common.postgres import Pool
from panier_common.web import Problem
from pydantic import BaseModel, ConfigDict, Field

from panier_console import db as rows
from panier_console.inbox import Inbox
from panier_console.state import state_of

HAND_BACK_SECONDS = 10.0
POLL_SECONDS = 0.05


class Talk(BaseModel):
    """A conversation, by the shop's number and either id of the customer."""

    model_config = ConfigDict(extra="forbid")

    phone_number_id: str = Field(min_length=1, max_length=100)
    customer: str = Field(min_length=1, max_length=200)


def router(pool: Pool, producer: Producer) -> APIRouter:
    routes = APIRouter()

    @routes.get("/messages")
    async def messages(phone_number_id: str, customer: str) -> list[dict[str, Any]]:
        """The conversation, both directions, oldest first; empty when there is none."""
        async with pool.acquire() as db:
            found = await rows.find_conversations(db, phone_number_id, customer)
            # A customer who was only ever written to has no inbox row.
            wanted = {*found, conversation_of(phone_number_id, customer)}
            return [_document(row) for row in await rows.load_messages(db, phone_number_id, sorted(wanted))]

    @routes.get("/inbox")
    async def inbox(shop: str) -> list[dict[str, Any]]:
        """The conversations that a person of the shop is to answer, the longest waiting first."""
        async with pool.acquire() as db:
            return [_waiting(row) for row in await rows.load_inbox_of(db, shop)]

    @routes.get("/messages/failed")
    async def failed(phone_number_id: str) -> list[dict[str, Any]]:
        """Messages of ours that did not reach their customers, and why; the newest first."""
        async with pool.acquire() as db:
            return [_failed(row) for row in await rows.load_failed(db, phone_number_id)]

    @routes.post("/conversations/hand-back")
    async def hand_back(talk: Talk, idempotency_key: Annotated[str | None, Header()] = None) -> dict[str, Any]:
        """The machine may speak again; answers once it does. Doing it again changes nothing."""
        conversation = await _conversation(pool, talk)
        if await _has_person(pool, conversation):
            await _return_floor(producer, conversation, idempotency_key or str(uuid4()))
            await _until_returned(pool, conversation)
        return {"conversation": conversation, "person": False}

    return routes


def _document(row: dict[str, Any]) -> dict[str, Any]:
    is_ours = row["direction"] == "out"
    state = state_of(row["sent"], row["delivered"]) if is_ours else "received"
    document = {
        "id": row["id"],
        "direction": row["direction"],
        "kind": row["kind"],
        "text": row["text"],
        "at": _rfc3339(row["at"]),
        "state": state,
    }
    return {**document, "why": row["said"]} if state == "failed" and row["said"] else document


def _failed(row: dict[str, Any]) -> dict[str, Any]:
    customer = customer_in(row["conversation"])
    return {
        "id": row["id"],
        "conversation": row["conversation"],
        "customer": {"user_id": customer.user_id, "wa_id": customer.wa_id},
        "kind": row["kind"],
        "text": row["text"],
        "at": _rfc3339(row["at"]),
        "why": row["said"],
    }


def _waiting(inbox: Inbox) -> dict[str, Any]:
    return {
        "conversation": inbox.conversation,
        "phone_number_id": inbox.phone_number_id,
        "customer": {"user_id": inbox.user_id, "wa_id": inbox.wa_id},
        "unanswered_since": _rfc3339(inbox.unanswered_since),
    }


def _rfc3339(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at is not None else None


async def _conversation(pool: Pool, talk: Talk) -> str:
    async with pool.acquire() as db:
        found = await rows.find_conversations(db, talk.phone_number_id, talk.customer)
    if not found:
        raise Problem(404, "no_such_conversation", "this customer has not written to this number", "check both ids")
    return found[0]


async def _has_person(pool: Pool, conversation: str) -> bool:
    async with pool.acquire() as db:
        known = await rows.load_inboxes(db, [conversation])
    return conversation in known and known[conversation].person


async def _return_floor(producer: Producer, conversation: str, key: str) -> None:
    now = datetime.now(UTC)
    event = FloorReturned(conversation, key, "shop", now)
    try:
        await producer.publish(event, caused_id("console", key, event.ce_type, 0), now, "console")
    except (KafkaError, OSError):
        raise Problem(503, "no_broker", "the broker does not answer", "try again with the same key") from None


async def _until_returned(pool: Pool, conversation: str) -> None:
    try:
        async with asyncio.timeout(HAND_BACK_SECONDS):
            while await _has_person(pool, conversation):  # noqa: ASYNC110 (the home may be another process)
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise Problem(
            504, "not_yet", "the conversation was not handed back in time; it will be", "look again later"
        ) from None
