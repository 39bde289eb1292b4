"""Files that messages carry are uploaded once for each number and then named by their id."""

import asyncpg
import pytest
from panier_common.contracts.events import MessageFailed, MessageSent
from panier_common.contracts.outbound import MediaMessage

RECEIPT = MediaMessage(
    media="document",
    content="JVBERi0xLjcgdW4gcmXDp3U=",
    mime_type="application/pdf",
    caption="Votre reçu",
    filename="recu.pdf",
)
BYTES = "%PDF-1.7 un reçu".encode()


async def test_a_file_is_uploaded_once_and_reused_by_its_id(world, graph, until):
    async with world.sender():
        first = [await world.ask(f"3360000000{n}", RECEIPT) for n in range(5)]
        await until(lambda: all(world.results(message_id) for message_id in first))
    async with world.sender():
        again = await world.ask("33600000009", RECEIPT)
        await until(lambda: world.results(again))
    assert graph.uploads == [(world.number, "whatsapp", "application/pdf", BYTES)]
    assert len(graph.calls) == 6
    assert {call.body["type"] for call in graph.calls} == {"document"}
    for call in graph.calls:
        assert call.body["document"] == {"id": "media1", "caption": "Votre reçu", "filename": "recu.pdf"}


async def test_after_thirty_days_it_is_uploaded_anew(world, graph, until):
    async with world.sender():
        first = await world.ask("33600000001", RECEIPT)
        await until(lambda: world.results(first))
    db = await asyncpg.connect(world.database_url)
    await db.execute("UPDATE upload SET uploaded_at = now() - interval '30 days'")
    await db.close()
    async with world.sender():
        second = await world.ask("33600000001", RECEIPT)
        await until(lambda: world.results(second))
    assert [call.body["document"]["id"] for call in graph.calls] == ["media1", "media2"]


@pytest.mark.parametrize("answer", [(500, {}), (503, {"error": {"code": 2}}), (200, {"strange": True})])
async def test_an_upload_that_fails_for_now_is_tried_again(world, graph, until, answer):
    graph.refuse_files = [answer]
    async with world.sender():
        message_id = await world.ask("33600000001", RECEIPT)
        await until(lambda: world.results(message_id))
    assert [type(event) for event in world.results(message_id)] == [MessageSent]
    assert len(graph.uploads) == 2
    assert len(graph.calls) == 1


async def test_a_file_that_meta_refuses_is_told_and_holds_back_nobody(world, graph, until):
    graph.refuse_files = [(400, {"error": {"code": 131053, "message": "no"}})]
    async with world.sender():
        message_id = await world.ask("33600000001", RECEIPT)
        behind = await world.ask("33600000001", "bonjour")
        await until(lambda: world.results(behind))
    (failed,) = world.results(message_id)
    assert (type(failed), failed.code, failed.reason) == (MessageFailed, 131053, "media")
    assert [call.text for call in graph.calls] == ["bonjour"]
