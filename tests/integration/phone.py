"""The simulator's phone in a real browser, as a customer holds it: each step waits for what it must show.

Steps act on the page alone, never on a service or the simulator's API: what they prove is what a person can do.
"""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Locator, Page, async_playwright, expect

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# An answer passes through every service; the first ones of a cold stack on a busy machine take seconds.
expect.set_options(timeout=30_000)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    assert path, "The browser tests need Debian's chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@asynccontextmanager
async def phone_at(browser: Browser, url: str, width: int = 1280, height: int = 860) -> AsyncIterator["Phone"]:
    """The page, ready; fails at the end when a script threw or anything outside was asked for."""
    page = await browser.new_page(
        viewport={"width": width, "height": height}, locale="en-GB", timezone_id="Europe/Paris"
    )
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"{error}"))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.on("request", lambda asked: None if asked.url.startswith(url) else problems.append(asked.url))
    await page.goto(url)
    await page.wait_for_selector("body[data-ready]")
    yield Phone(page)
    await page.close()
    assert not problems, problems


class Phone:
    """One page with the phone, and what its customer can do with it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def last(self) -> Locator:
        return self.page.locator(".bubble.theirs:not(.typing)").last

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def becomes(self, name: str, number: str = "") -> str:
        """A new customer, whose phone this now is; the id that the simulator gave."""
        await self.page.get_by_text("Add a customer").click()
        await self.page.get_by_label("Name").fill(name)
        await self.page.get_by_label("Phone number").fill(number)
        await self.button("Add").click()
        chosen = self.page.locator(".customers [aria-current]")
        await expect(chosen).to_contain_text(name)
        await expect(chosen).to_contain_text(number.replace(" ", "") or "number hidden")
        await expect(self.page.locator(".bubble")).to_have_count(0)
        found = await chosen.get_attribute("data-customer")
        assert found
        return found

    async def says(self, words: str) -> None:
        await self.page.get_by_label("Message", exact=True).fill(words)
        await self.page.get_by_label("Message", exact=True).press("Enter")
        await expect(self.page.locator(".bubble.mine").last).to_contain_text(words)

    async def hears(self, words: str) -> Locator:
        """The newest message of the shop, once it holds these words."""
        await expect(self.last).to_contain_text(words)
        return self.last

    async def presses(self, reply: str) -> None:
        """The button of the newest message whose reply id begins so, once it has one."""
        button = self.last.locator(f'[data-reply^="{reply}"]')
        await expect(button).to_be_visible()
        title = (await button.inner_text()).strip()
        await button.click()
        await expect(self.page.locator(".bubble.mine").last).to_contain_text(title)

    async def opens_catalogue(self) -> int:
        """From the message that offers it; how many products have their picture."""
        offer = self.page.locator(".bubble.theirs").get_by_role("button", name="View catalogue")
        await expect(offer.last).to_be_visible()
        await offer.last.click()
        return await self.pictures(".view")

    async def pictures(self, place: str) -> int:
        """How many pictures are in `place`, once each of them has been drawn."""
        pictures = self.page.locator(f"{place} img")
        await expect(pictures.first).to_be_visible()
        # Pictures beyond the edge of the screen are only fetched when they come near it. One that fails raises.
        draw = "found => Promise.all(found.map(one => { one.loading = 'eager'; return one.decode(); }))"
        await pictures.evaluate_all(draw)
        widths = await pictures.evaluate_all("found => found.map(one => one.naturalWidth)")
        assert all(width > 0 for width in widths), widths
        return len(widths)

    async def adds(self, sku: str, quantity: int = 1) -> None:
        await self.page.locator(f"[data-add={sku}]").click()
        for _ in range(quantity - 1):
            await self.page.locator(f"[data-sku={sku}]").get_by_label("One more").click()
        await expect(self.page.locator(f"[data-sku={sku}] output")).to_have_text(str(quantity))

    async def sends_cart(self, note: str, total: str) -> None:
        """From the open catalogue, once the phone itself counts this total."""
        await self.page.get_by_role("dialog").get_by_role("button", name="Cart", exact=True).click()
        await expect(self.page.locator(".checkout .sum strong")).to_have_text(total)
        await self.page.get_by_label("Add a message (optional)").fill(note)
        await self.button("Send to business").click()
        await expect(self.page.locator('.bubble.mine[data-kind="order"]').last).to_contain_text(note)

    async def asks_about(self, title: str, question: str) -> None:
        """From the product's own page in the catalogue."""
        await self.page.locator("#open-catalogue").click()
        await self.button(title).click()
        await self.pictures(".product")
        await self.button("Message business").click()
        await self.page.get_by_role("dialog", name="Message business").get_by_label("Message").fill(question)
        await self.button("Send message").last.click()
        mine = self.page.locator(".bubble.mine").last
        await expect(mine).to_contain_text(question)
        await expect(mine.locator(".quote")).to_contain_text(title)

    async def link_to_pay(self) -> Locator:
        link = self.last.get_by_role("link")
        await expect(link).to_be_visible()
        return link

    @asynccontextmanager
    async def at_the_till(self) -> AsyncIterator[Page]:
        """The payment page that the link opens, until it is left."""
        link = await self.link_to_pay()
        async with self.page.expect_popup() as popup:
            await link.click()
        till = await popup.value
        await expect(till.locator("#amount")).to_be_visible()
        yield till
        await till.close()

    async def chooses(self, button: str, reply: str) -> None:
        """The first row of the newest message's list whose reply id begins so."""
        await self.last.get_by_role("button", name=button, exact=True).click()
        await self.page.locator(f'.sheet [data-reply^="{reply}"]').first.click()

    async def has_been_read(self) -> None:
        """Blue ticks on what the customer wrote last."""
        ticks = self.page.locator(".bubble.mine .meta .icon").last
        await expect(ticks).to_have_class(re.compile(r"\bread\b"))
