"""The simulator's phone in a real browser, over the running services: a newcomer's first purchase."""

import json
from collections.abc import AsyncIterator

import pytest
from phone import Phone, chromium, phone_at
from playwright.async_api import Browser, expect
from stack import NUMBER, SHOP, Stack, request

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def phone(stack: Stack, browser: Browser) -> AsyncIterator[Phone]:
    async with phone_at(browser, f"http://127.0.0.1:{stack.ports['simulator']}") as phone:
        yield phone


async def test_buys_two_products_and_finds_the_order_again(stack: Stack, phone: Phone) -> None:
    await phone.becomes("Maëlle", "+33 6 12 34 00 07")
    await phone.says("bonjour")
    await phone.hears("Vous cherchez quelque chose de précis ?")
    await phone.has_been_read()

    assert await phone.opens_catalogue() == len(stack.ask("catalog", "list", "--shop", SHOP))
    await phone.adds("pain-au-chocolat", 2)
    await phone.adds("tarte-citron")
    await phone.sends_cart("Bien cuits 🙏", total="€27.20")
    summary = await phone.hears("Total : 27,20 €")
    await expect(summary).to_contain_text("2 × Pain au chocolat — 3,20 €")
    await expect(summary).to_contain_text("Bien cuits 🙏")

    await phone.presses("checkout:start")
    await phone.presses("checkout:collect")
    await expect(await phone.hears("À retirer à la boutique")).to_contain_text("Total : 27,20 €")
    await phone.presses("checkout:confirm:")
    await phone.hears("À payer : 27,20 €")
    order_id = await pays(stack, phone, "27.20 EUR")

    receipt = await phone.hears("Paiement reçu")
    await expect(receipt).to_contain_text("27,20 €")
    await phone.says("commandes")
    await phone.chooses("Mes commandes", f"checkout:order:{order_id}")
    order = stack.ask("orders", "show", order_id)
    detail = await phone.hears(f"Commande {order['number']} du")
    for words in ("payée", "2 × Pain au chocolat", "1 × Tarte citron meringuée", "27,20 €"):
        await expect(detail).to_contain_text(words)
    assert (order["state"], order["paid_minor"], order["customer"]["wa_id"]) == ("paid", 2720, "33612340007")


async def pays(stack: Stack, phone: Phone, amount: str) -> str:
    """By the link, on the simulator's own page; the order's id, which the link carries."""
    address = await (await phone.link_to_pay()).get_attribute("href")
    page, _, order_id = str(address).rpartition("/")
    assert page.startswith(f"http://127.0.0.1:{stack.ports['simulator']}/pay/EUR/")
    async with phone.at_the_till() as till:
        await expect(till.locator("#amount")).to_have_text(amount)
        await till.get_by_role("button", name="Pay").click()
        await expect(till.locator("#result")).to_have_text("Paid. Thank you!")
    return order_id


async def test_a_customer_without_a_number_asks_about_a_product(stack: Stack, phone: Phone) -> None:
    user_id = user_id_of(stack, await phone.becomes("Noa"))
    await phone.asks_about("Pain au chocolat", "Encore chaud ?")
    answer = await phone.hears("disponible")
    await expect(answer).to_contain_text("1,60 €")
    card = phone.page.locator('.bubble.theirs[data-kind="product"]')
    await expect(card).to_contain_text("Pain au chocolat")
    assert await phone.pictures('.bubble.theirs[data-kind="product"]') == 1

    await phone.presses("cart:add:pain-au-chocolat")
    await phone.hears("Total : 1,60 €")
    [line] = stack.ask("carts", "show", "--number", NUMBER, "--customer", user_id)["lines"]
    assert (line["sku"], line["quantity"]) == ("pain-au-chocolat", 1)


def user_id_of(stack: Stack, customer: str) -> str:
    """What the shop knows a customer without a number by."""
    status, body = request("GET", f"http://127.0.0.1:{stack.ports['simulator']}/api/customers")
    assert status == 200
    [found] = [known for known in json.loads(body) if known["id"] == customer]
    assert found["wa_id"] is None
    return str(found["user_id"])
