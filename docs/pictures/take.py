"""Takes the pictures of the phone: a purchase on a fresh local stack, by the steps that the browser test uses.

`python docs/pictures/take.py` writes them beside this file. Nothing in them is drawn or touched up: several moments
of one chat are only set side by side. Needs Debian's chromium and fonts-noto-color-emoji.
"""

import asyncio
import io
import pathlib
import sys
import tempfile

from PIL import Image
from playwright.async_api import expect

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "integration"))

from phone import Phone, chromium, phone_at  # noqa: E402
from stack import Stack  # noqa: E402

# The narrowest page that still shows all three columns, and a height at which a README stays readable.
WIDTH, HEIGHT = 1120, 800
COLOURS = 256


async def moment(phone: Phone, place: str) -> Image.Image:
    """What the page shows there once its pictures are drawn and what only passes by has gone."""
    await phone.page.mouse.move(1, 1)
    await phone.page.evaluate("document.activeElement?.blur()")
    await phone.pictures(place)
    await expect(phone.page.locator(".toast.shown")).to_have_count(0)
    taken = await phone.page.locator(place).screenshot(animations="disabled")
    return Image.open(io.BytesIO(taken)).convert("RGB")


def side_by_side(moments: list[Image.Image]) -> Image.Image:
    row = Image.new("RGB", (sum(one.width for one in moments), moments[0].height))
    left = 0
    for one in moments:
        row.paste(one, (left, 0))
        left += one.width
    return row


def save(picture: Image.Image, name: str) -> None:
    """With few colours, and so small: a README is read over slow lines too."""
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(HERE / name, optimize=True)


async def story(phone: Phone) -> None:
    """Two products, one cart, paid in the chat; then the order, found again, and what the shop was sent."""
    await phone.says("hello")
    await phone.hears("Looking for something in particular?")
    await phone.opens_catalogue()
    await phone.adds("pain-au-chocolat", 2)
    await phone.adds("croissant-amandes")
    catalogue = await moment(phone, ".stage")
    await phone.sends_cart("For Saturday morning 🙏", total="€5.80")
    await phone.hears("Your cart")
    cart = await moment(phone, ".stage")
    await phone.presses("checkout:start")
    await phone.presses("checkout:collect")
    await phone.presses("checkout:confirm:")
    async with phone.at_the_till() as till:
        await till.get_by_role("button", name="Pay").click()
        await till.locator("#result").wait_for()
    await phone.hears("We received the payment")
    save(side_by_side([catalogue, cart, await moment(phone, ".stage")]), "phone.png")
    await phone.says("orders")
    await phone.chooses("My orders", "checkout:order:")
    await phone.hears(": paid")
    await phone.last.locator(".inside").click()
    await expect(phone.page.locator("#inspected pre")).to_be_visible()
    save(await moment(phone, ".app"), "order.png")


async def take(url: str) -> None:
    async with chromium() as browser, phone_at(browser, url, WIDTH, HEIGHT) as phone:
        await story(phone)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(pathlib.Path(folder))
        try:
            stack.start()
            asyncio.run(take(f"http://127.0.0.1:{stack.ports['simulator']}"))
        finally:
            stack.stop()
