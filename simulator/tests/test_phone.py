"""The phone in a real browser: a customer browses, fills a cart, presses, pays; the shop sees webhooks."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from .conftest import Bakery, Door, Simulator, text, until

pytestmark = pytest.mark.browser

SIZES = {"desktop": (1280, 860), "phone": (390, 800)}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, simulator: Simulator, size: str = "desktop") -> AsyncIterator[Page]:
    """The page, ready; fails at the end when a script threw or anything outside was asked for."""
    width, height = SIZES[size]
    page = await browser.new_page(viewport={"width": width, "height": height}, locale="en-GB")
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"{error}"))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.on("request", lambda asked: None if asked.url.startswith(simulator.url) else problems.append(asked.url))
    await page.goto(simulator.url)
    await page.wait_for_selector("body[data-ready]")
    yield page
    await page.close()
    assert problems == []


async def write(page: Page, words: str) -> None:
    await page.get_by_label("Message", exact=True).fill(words)
    await page.get_by_label("Message", exact=True).press("Enter")


async def all_pictures_loaded(page: Page, place: str) -> int:
    """How many pictures are in `place`; waits until each of them has been drawn."""
    pictures = page.locator(f"{place} img")
    await expect(pictures.first).to_be_visible()
    # Pictures beyond the edge of the screen are only fetched when they come near it. One that fails raises.
    draw = "found => Promise.all(found.map(one => { one.loading = 'eager'; return one.decode(); }))"
    await pictures.evaluate_all(draw)
    widths = await pictures.evaluate_all("found => found.map(one => one.naturalWidth)")
    assert all(width >= 500 for width in widths)
    return await pictures.count()


@pytest.mark.parametrize("size", SIZES)
async def test_buys_as_a_customer_would(
    browser: Browser, simulator: Simulator, door: Door, bakery: Bakery, size: str
) -> None:
    async with opened(browser, simulator, size) as page:
        await write(page, "bonjour")
        await expect(page.get_by_text("Que puis-je faire pour vous ?")).to_be_visible()
        await expect(page.locator(".bubble.mine .meta .icon")).to_have_class(re.compile(r"\bread\b"))

        await page.get_by_role("button", name="View catalogue").click()
        assert await all_pictures_loaded(page, ".view") >= 32
        await page.get_by_role("button", name="Pains", exact=True).click()
        await expect(page.locator(".view .item[data-sku=croissant]")).to_have_count(0)
        await page.get_by_role("button", name="All items").click()
        await expect(page.locator("[data-sku=tartelette-fraises]")).to_contain_text("Out of stock")
        await page.locator("[data-add=croissant]").click()
        await page.locator("[data-sku=croissant]").get_by_label("One more").click()

        await page.get_by_role("button", name="Croissant aux amandes", exact=True).click()
        await page.get_by_role("button", name="Add to cart", exact=True).click()
        await page.get_by_role("button", name="View cart").click()
        await expect(page.locator(".checkout .sum strong")).to_have_text("€5.40")
        await page.get_by_label("Add a message (optional)").fill("Bien cuits 🙏")
        await page.get_by_role("button", name="Send to business").click()

        await expect(page.get_by_text("Votre panier")).to_be_visible()
        order = next(message["order"] for message in door.messages() if message["type"] == "order")
        assert order["text"] == "Bien cuits 🙏"
        prices = {item["product_retailer_id"]: item["item_price"] for item in order["product_items"]}
        assert prices == {"croissant": 1.4, "croissant-amandes": 2.6}

        await page.get_by_role("button", name="Commander").click()
        link = page.get_by_role("link", name="Payer")
        await expect(link).to_have_attribute("target", "_blank")
        async with page.expect_popup() as popup:
            await link.click()
        till = await popup.value
        await expect(till.locator("#amount")).to_have_text("8.80 EUR")
        await till.get_by_role("button", name="Pay").click()
        await expect(till.locator("#result")).to_have_text("Paid. Thank you!")
        assert [(note["state"], note["minor"]) for note in door.payments()] == [("paid", 880)]


async def test_chooses_from_a_list_and_asks_about_a_product(
    browser: Browser, simulator: Simulator, door: Door, bakery: Bakery
) -> None:
    async with opened(browser, simulator) as page:
        await write(page, "menu")
        await page.get_by_role("button", name="Les rayons").click()
        sheet = page.get_by_role("dialog", name="Les rayons")
        await expect(sheet.get_by_role("button")).to_have_count(7)
        await page.keyboard.press("Escape")
        await expect(sheet).to_have_count(0)
        await page.get_by_role("button", name="Les rayons").click()
        await sheet.get_by_role("button", name="Viennoiseries").click()

        await page.get_by_role("button", name="View items").click()
        assert await all_pictures_loaded(page, ".view") == 5
        await page.get_by_role("button", name="Pain au chocolat", exact=True).click()
        await page.get_by_role("button", name="Message business").click()
        await page.get_by_role("dialog", name="Message business").get_by_label("Message").fill("Encore chaud ?")
        await page.get_by_role("button", name="Send message").last.click()

        card = page.locator('.bubble[data-kind="product"]')
        await expect(card.locator(".card-words")).to_contain_text("Pain au chocolat")
        await expect(card.locator("strong", has_text="available")).to_be_visible()
        asked = door.messages()[-1]
        assert asked["context"]["referred_product"]["product_retailer_id"] == "pain-au-chocolat"


async def test_a_customer_without_a_number_shares_a_place(
    browser: Browser, simulator: Simulator, door: Door, bakery: Bakery
) -> None:
    async with opened(browser, simulator) as page:
        await page.get_by_text("Add a customer").click()
        await page.get_by_label("Name").fill("Noa")
        await page.get_by_role("button", name="Add", exact=True).click()
        await expect(page.locator(".customers [aria-current]")).to_contain_text("number hidden")
        await write(page, "livraison")
        await page.get_by_role("button", name="Send location").click()
        await page.get_by_role("dialog").get_by_role("button", name="Le Port").click()
        await expect(page.get_by_text("Merci, c’est noté.")).to_be_visible()
        await expect(page.locator(".bubble.theirs s")).to_have_text("4,50 €")
        place = door.messages()[-1]
        assert place["location"]["latitude"] == 43.2965
        assert "from" not in place

        # The other customer's chat is another one; news of this one is counted there.
        await page.locator(".customers button", has_text="Camille").click()
        await expect(page.locator(".bubble")).to_have_count(0)
        hidden = {"messaging_product": "whatsapp", "recipient": place["from_user_id"]}
        await simulator.graph(hidden | text("Votre commande est prête"))
        await expect(page.locator(".customers .unread")).to_have_text("1")


async def test_shows_json_and_treats_text_as_text(
    browser: Browser, simulator: Simulator, door: Door, bakery: Bakery
) -> None:
    async with opened(browser, simulator) as page:
        attack = '<img src=x onerror="document.body.dataset.broken=1"> *fort* https://shop.example/a?b=1'
        await write(page, attack)
        mine = page.locator(".bubble.mine")
        await expect(mine.locator("strong")).to_have_text("fort")
        await expect(mine.locator("a")).to_have_attribute("href", "https://shop.example/a?b=1")
        await expect(mine.locator("img")).to_have_count(0)
        await mine.get_by_role("button", name="Show JSON").press("Enter")
        await expect(page.locator("#inspected pre")).to_contain_text('"from": "33600000001"')
        assert await page.evaluate("document.body.dataset.broken") is None


async def test_says_that_the_shop_does_not_answer(browser: Browser, simulator: Simulator, door: Door) -> None:
    door.statuses = [503] * 1000
    async with opened(browser, simulator) as page:
        await write(page, "bonjour")
        await expect(page.locator("#banner")).to_be_visible()
        door.statuses = []
        await until(lambda: simulator.exchange.courier.stats()["delivered"] == 1)
        await expect(page.locator(".bubble.mine .meta .icon")).to_have_class(re.compile(r"\bdelivered\b"))
        await expect(page.locator("#banner")).to_be_hidden()


async def test_speaks_french(browser: Browser, simulator: Simulator) -> None:
    async with opened(browser, simulator) as page:
        await page.get_by_label("Language of this page").select_option("fr")
        await expect(page.get_by_role("button", name="Envoyer le message")).to_be_visible()
        await expect(page.locator("html")).to_have_attribute("lang", "fr")
