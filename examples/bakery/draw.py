"""Draws the pictures of the example's products: flat illustrations of our own, 512 px PNGs of a few kB.

Run `python examples/bakery/draw.py` (needs Pillow) after changing one; the pictures are committed.
Every drawing works on a square of 512 units; three times that size is drawn, then reduced, for smooth edges.
"""

import math
import random
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SIZE = 512
SCALE = 3
FOLDER = Path(__file__).parent / "pictures"
Point = tuple[float, float]

CRUST, CRUST_DARK, CRUST_LIGHT = "#d9923b", "#a9621f", "#f0b861"
CRUMB, CREAM, BUTTER = "#f8e2b8", "#fff1d0", "#ffd873"
CHOCOLATE, COFFEE, CARAMEL = "#5a3323", "#8a5a3b", "#c07a2c"
RED, PINK, GREEN, LEAF, YELLOW, ORANGE = "#d8344a", "#f28ba2", "#a9c46c", "#5f9a4a", "#f7d64a", "#f59a2e"
WHITE, PORCELAIN, SHADOW = "#ffffff", "#f4f6f8", "#c9d2da"


class Layer:
    """One sheet to draw on, in units of the picture; may be turned before it is laid on the others."""

    def __init__(self) -> None:
        self.image = Image.new("RGBA", (SIZE * SCALE, SIZE * SCALE))
        self.pen = ImageDraw.Draw(self.image)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: str) -> None:
        self.pen.ellipse(_scaled((x - rx, y - ry), (x + rx, y + ry)), fill)

    def box(self, x: float, y: float, width: float, height: float, radius: float, fill: str) -> None:
        self.pen.rounded_rectangle(_scaled((x, y), (x + width, y + height)), radius * SCALE, fill)

    def shape(self, points: list[Point], fill: str) -> None:
        self.pen.polygon(_scaled(*points), fill)

    def stroke(self, points: list[Point], width: float, fill: str) -> None:
        self.pen.line(_scaled(*points), fill, round(width * SCALE), "curve")
        for x, y in (points[0], points[-1]):
            self.oval(x, y, width / 2, width / 2, fill)

    def half(self, x: float, y: float, rx: float, ry: float, fill: str) -> None:
        """The upper half of an oval."""
        self.pen.pieslice(_scaled((x - rx, y - ry), (x + rx, y + ry)), 180, 360, fill)


def _scaled(*points: Point) -> list[tuple[float, float]]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float, steps: int = 40) -> list[Point]:
    """Points along an oval, angles in degrees, 0 to the right, growing downwards."""
    angles = (math.radians(start + (end - start) * step / steps) for step in range(steps + 1))
    return [(x + rx * math.cos(angle), y + ry * math.sin(angle)) for angle in angles]


Drawing = Callable[[Layer], None]


def croissant(almonds: bool = False) -> Drawing:
    def at(angle: float, out: float) -> Point:
        """A point of the crescent: `out` runs from its inner edge (-1) to its outer one (1)."""
        turn = math.radians(angle - 90)
        half = 14 + 62 * math.cos(math.radians(angle * 0.82)) ** 1.2
        reach = 148 + out * half
        return 256 + reach * math.cos(turn), 322 + reach * 1.04 * math.sin(turn)

    def band(layer: Layer, start: float, end: float, swell: float, fill: str) -> None:
        """A roll of dough across the crescent, swollen at its edges."""
        steps = [start + (end - start) * step / 16 for step in range(17)]
        bulge = [1 + swell * math.sin(math.pi * step / 16) for step in range(17)]
        outer = [at(angle, out) for angle, out in zip(steps, bulge, strict=True)]
        inner = [at(angle, -out) for angle, out in zip(reversed(steps), reversed(bulge), strict=True)]
        layer.shape([*outer, *inner], fill)

    def draw(layer: Layer) -> None:
        bands = [(-104, -80), (80, 104), (-84, -54), (54, 84), (-58, -22), (22, 58), (-27, 27)]
        for start, end in bands:
            band(layer, start, end, 0.24, CRUST_DARK)
            band(layer, start + 2.4, end - 2.4, 0.19, CRUST)
            middle, spread = (start + end) / 2, (end - start) * 0.24
            glow = [at(middle - spread + spread * step / 4, 0.86) for step in range(9)]
            layer.stroke(glow, 16 if abs(middle) < 70 else 9, CRUST_LIGHT)
            crease = [at(middle + (3 if middle < 0 else -3), out / 10) for out in range(-7, 5)]
            layer.stroke(crease, 5, "#c47f2f")
        if almonds:
            scatter = random.Random(4)
            for _ in range(30):
                x, y = at(scatter.uniform(-86, 86), scatter.uniform(-0.5, 0.7))
                layer.oval(x, y, 15, 9, "#c98f45")
                layer.oval(x, y - 1, 13, 7, CREAM)

    return draw


def pain_au_chocolat(layer: Layer) -> None:
    layer.box(86, 176, 340, 176, 70, CRUST_DARK)
    layer.box(92, 172, 328, 168, 66, CRUST)
    for index in range(4):
        x = 134 + index * 72
        layer.stroke([(x + 30, 180), (x, 256), (x + 22, 332)], 13, CRUST_LIGHT)
    for y in (220, 288):
        layer.oval(88, y, 20, 22, CHOCOLATE)
        layer.oval(424, y, 20, 22, CHOCOLATE)
    layer.box(130, 186, 250, 16, 8, "#f8cf86")


def spiral(layer: Layer) -> None:
    layer.oval(256, 262, 158, 154, CRUST_DARK)
    layer.oval(256, 256, 154, 150, CRUST)
    turns = [
        (256 + step * 0.66 * math.cos(step / 11), 256 + step * 0.64 * math.sin(step / 11)) for step in range(6, 205)
    ]
    layer.stroke(turns, 26, CRUST_LIGHT)
    layer.stroke(turns, 9, CREAM)
    for step in range(26, 205, 15):
        x, y = turns[min(step, len(turns) - 1)]
        layer.oval(x, y, 14, 11, "#4a2b3a")
        layer.oval(x - 3, y - 3, 4, 3, "#7d5568")


def turnover(layer: Layer) -> None:
    layer.shape([(80, 340), *arc(256, 340, 176, 196, 180, 360)], CRUST_DARK)
    layer.box(80, 318, 352, 38, 19, CRUST_DARK)
    layer.shape([(90, 334), *arc(256, 334, 166, 184, 180, 360)], CRUST)
    for turn in (-58, -34, -11, 11, 34, 58):
        angle = math.radians(turn - 90)
        end = (256 + 148 * math.cos(angle), 330 + 160 * math.sin(angle))
        layer.stroke([(256 + turn * 0.5, 318), end], 10, CRUST_LIGHT)
    for x in range(100, 430, 26):
        layer.oval(x, 338, 10, 10, CRUST_LIGHT)


def brioche(layer: Layer) -> None:
    layer.shape([(120, 300), (392, 300), (350, 404), (162, 404)], CRUST_DARK)
    for x in range(150, 380, 38):
        layer.stroke([(x, 306), (256 + (x - 256) * 0.8, 400)], 7, CRUST)
    for x, y, size in ((170, 266, 70), (342, 266, 70), (256, 258, 92)):
        layer.oval(x, y, size, size * 0.82, CRUST_DARK)
        layer.oval(x, y - 4, size * 0.94, size * 0.76, CRUST)
    layer.oval(256, 180, 66, 60, CRUST_DARK)
    layer.oval(256, 176, 62, 56, CRUST_LIGHT)
    scatter = random.Random(3)
    for _ in range(34):
        x, y = scatter.uniform(140, 372), scatter.uniform(150, 290)
        layer.box(x, y, 12, 10, 3, WHITE)


def kouign(layer: Layer) -> None:
    layer.oval(256, 270, 168, 140, CRUST_DARK)
    layer.oval(256, 258, 164, 134, CARAMEL)
    for turn in range(0, 360, 45):
        angle = math.radians(turn + 12)
        outer = (256 + 146 * math.cos(angle), 258 + 118 * math.sin(angle))
        bend = (256 + 80 * math.cos(angle + 0.5), 258 + 64 * math.sin(angle + 0.5))
        layer.stroke([outer, bend, (256, 252)], 16, CRUST_LIGHT)
        layer.stroke([outer, bend, (256, 252)], 6, "#fbd48c")
    layer.oval(256, 252, 30, 24, CRUST_DARK)
    layer.oval(254, 249, 18, 13, BUTTER)


def baguette(seeds: bool = False) -> Drawing:
    def draw(layer: Layer) -> None:
        layer.box(20, 204, 472, 116, 58, CRUST_DARK)
        layer.box(26, 200, 460, 108, 54, CRUST)
        layer.box(60, 212, 390, 30, 15, CRUST_LIGHT)
        for x in range(74, 420, 70):
            cut = [(x, 290), (x + 22, 236), (x + 60, 216)]
            layer.stroke(cut, 24, CRUST_DARK)
            layer.stroke(cut, 15, CRUMB)
        scatter = random.Random(5)
        for _ in range(90 if seeds else 0):
            x, y = scatter.uniform(50, 462), scatter.uniform(210, 300)
            layer.oval(x, y, 5, 3.4, scatter.choice(["#fff1d0", "#4b3a2c", "#8b6b3e", "#e9d6a1"]))

    return turned(draw, 38)


def miche(crust: str, light: str, cross: bool, bits: str | None = None) -> Drawing:
    def draw(layer: Layer) -> None:
        layer.oval(256, 284, 190, 142, "#7c461a")
        layer.oval(256, 272, 188, 138, crust)
        layer.oval(240, 240, 140, 86, light)
        cuts = [[(150, 246), (256, 216), (362, 246)], [(256, 168), (262, 240), (256, 330)]]
        slashes = [[(130 + k * 62, 316), (160 + k * 62, 250), (200 + k * 62, 196)] for k in range(4)]
        for cut in cuts if cross else slashes:
            layer.stroke(cut, 24, crust)
            layer.stroke(cut, 13, CREAM)
        scatter = random.Random(11)
        for _ in range(26 if bits else 0):
            angle, reach = scatter.uniform(0, 6.28), scatter.uniform(0.15, 0.85)
            x, y = 256 + 176 * reach * math.cos(angle), 268 + 126 * reach * math.sin(angle)
            layer.oval(x, y, 13, 9, "#6b4423")
            layer.oval(x - 2, y - 2, 8, 5, bits or "")

    return draw


def tin_loaf(layer: Layer) -> None:
    layer.box(150, 150, 300, 240, 30, CRUST_DARK)
    layer.oval(390, 190, 78, 74, CRUST_DARK)
    layer.oval(230, 190, 100, 74, CRUST)
    layer.oval(380, 188, 70, 66, CRUST)
    layer.box(150, 186, 292, 198, 22, CRUST)
    layer.oval(182, 196, 92, 76, CRUST_DARK)
    layer.box(94, 200, 176, 190, 24, CRUST_DARK)
    layer.oval(182, 200, 80, 64, CRUMB)
    layer.box(104, 204, 156, 176, 18, CRUMB)
    for x, y in ((140, 250), (210, 220), (170, 310), (226, 330), (132, 350), (190, 270)):
        layer.oval(x, y, 6, 4, "#e9c98e")


def fougasse(layer: Layer) -> None:
    leaf = [(256, 70), (366, 160), (400, 280), (340, 390), (256, 440), (172, 390), (112, 280), (146, 160)]
    layer.shape(leaf, CRUST_DARK)
    for x, y in leaf:
        layer.oval(x, y, 34, 34, CRUST)
    layer.shape(leaf, CRUST)
    layer.stroke([(256, 130), (256, 400)], 26, CRUST_LIGHT)
    for y in (180, 250, 320):
        for side in (-1, 1):
            layer.stroke([(256 + side * 34, y + 36), (256 + side * 100, y - 6)], 28, CRUST_DARK)
            layer.stroke([(256 + side * 36, y + 34), (256 + side * 98, y - 4)], 20, "#f6e7cf")
    for x, y in ((220, 120), (300, 132), (180, 250), (334, 244), (206, 388), (310, 380), (256, 300), (256, 210)):
        layer.oval(x, y, 15, 13, "#2f2a3a")
        layer.oval(x, y, 5, 4, "#8c7f96")


def eclair(icing: str, shine: str) -> Drawing:
    def draw(layer: Layer) -> None:
        layer.box(66, 216, 380, 128, 64, CRUST_DARK)
        layer.box(70, 212, 372, 116, 58, CRUST)
        layer.box(72, 262, 368, 26, 13, CREAM)
        layer.box(78, 190, 356, 82, 41, icing)
        for x in (150, 250, 350):
            layer.oval(x, 270, 26, 18, icing)
        layer.box(112, 204, 240, 16, 8, shine)

    return turned(draw, 18)


def paris_brest(layer: Layer) -> None:
    for y, fill in ((296, CRUST_DARK), (288, CRUST)):
        layer.oval(256, y, 186, 132, fill)
    for turn in range(0, 360, 24):
        angle = math.radians(turn)
        x, y = 256 + 128 * math.cos(angle), 262 + 86 * math.sin(angle)
        layer.oval(x, y, 48, 38, "#c99a62")
        layer.oval(x - 3, y - 5, 36, 26, "#e2bd8a")
    for turn in range(0, 360, 30):
        angle = math.radians(turn)
        x, y = 256 + 128 * math.cos(angle), 222 + 84 * math.sin(angle)
        layer.oval(x, y, 52, 40, CRUST)
        layer.oval(x - 6, y - 10, 26, 15, CRUST_LIGHT)
    layer.oval(256, 236, 58, 34, "#8a5420")
    scatter = random.Random(2)
    for _ in range(40):
        angle, reach = scatter.uniform(0, 6.28), scatter.uniform(0.8, 1.2)
        x, y = 256 + 128 * reach * math.cos(angle), 212 + 84 * reach * math.sin(angle)
        layer.oval(x, y, 5, 4, WHITE)


def millefeuille(layer: Layer) -> None:
    for index, y in enumerate((366, 286, 206)):
        layer.box(92, y - 26, 328, 40, 10, CRUST_DARK)
        for line in range(3):
            layer.box(96, y - 24 + line * 12, 320, 7, 3, (CRUST, CRUST_LIGHT, CRUST)[line])
        if index:
            for x in range(122, 410, 46):
                layer.oval(x, y + 34, 28, 22, "#ffe9b0")
                layer.oval(x - 4, y + 28, 18, 12, CREAM)
    layer.box(88, 158, 336, 34, 14, WHITE)
    for x in range(108, 410, 44):
        layer.stroke([(x, 162), (x + 18, 188)], 6, CHOCOLATE)


def macaron(shell: str, light: str, filling: str) -> Drawing:
    def one(layer: Layer, x: float, y: float, size: float) -> None:
        for side in (1, -1):
            top = y + side * size * 0.34
            layer.oval(x, top, size, size * 0.52, shell)
            layer.box(x - size, top - (size * 0.02 if side < 0 else size * 0.26), size * 2, size * 0.28, 14, shell)
        layer.box(x - size * 0.94, y - size * 0.17, size * 1.88, size * 0.34, size * 0.14, filling)
        for step in range(-9, 10):
            for side in (1, -1):
                layer.oval(x + step * size * 0.105, y + side * size * 0.2, size * 0.07, size * 0.06, light)
        layer.oval(x - size * 0.3, y - size * 0.56, size * 0.4, size * 0.14, light)

    def draw(layer: Layer) -> None:
        one(layer, 326, 208, 108)
        one(layer, 206, 310, 130)

    return draw


def round_tart(filling: str, top: Drawing) -> Drawing:
    def draw(layer: Layer) -> None:
        for turn in range(0, 360, 12):
            angle = math.radians(turn)
            x, y = 256 + 178 * math.cos(angle), 268 + 162 * math.sin(angle)
            layer.oval(x, y, 26, 24, CRUST_DARK if turn % 24 else CARAMEL)
        layer.oval(256, 266, 184, 168, CRUST)
        layer.oval(256, 264, 160, 146, filling)
        top(layer)

    return draw


def berries(fill: str, shine: str, size: float) -> Drawing:
    def draw(layer: Layer) -> None:
        for ring, count in ((0.86, 15), (0.56, 10), (0.26, 5), (0.0, 1)):
            for step in range(count):
                angle = 2 * math.pi * step / count + ring
                x, y = 256 + 148 * ring * math.cos(angle), 262 + 134 * ring * math.sin(angle)
                layer.oval(x, y + 3, size, size * 0.94, "#8f1f35")
                layer.oval(x, y, size * 0.94, size * 0.9, fill)
                layer.oval(x - size * 0.3, y - size * 0.34, size * 0.28, size * 0.2, shine)

    return draw


def strawberries(layer: Layer) -> None:
    for count, reach in ((8, 98), (4, 44), (1, 0)):
        for step in range(count):
            angle = 2 * math.pi * step / count
            x, y = 256 + reach * math.cos(angle), 258 + reach * 0.92 * math.sin(angle)
            layer.oval(x, y, 40, 38, "#b32238")
            layer.oval(x, y - 2, 37, 34, RED)
            layer.oval(x, y, 17, 15, "#f8b4b4")
            for seed in range(6):
                turn = seed * math.pi / 3 + angle
                layer.oval(x + 26 * math.cos(turn), y + 24 * math.sin(turn), 2.6, 3.4, "#ffd98a")


def meringue(layer: Layer) -> None:
    for count, reach, size in ((12, 112, 34), (7, 62, 34), (1, 0, 40)):
        for step in range(count):
            angle = 2 * math.pi * step / count + reach
            x, y = 256 + reach * math.cos(angle), 260 + reach * 0.9 * math.sin(angle)
            layer.oval(x, y + 4, size, size * 0.92, "#e3b56d")
            layer.oval(x, y, size * 0.95, size * 0.86, "#fffaf0")
            layer.oval(x - 2, y - 8, size * 0.4, size * 0.3, "#f2d29b")
            layer.oval(x - 2, y - 12, size * 0.2, size * 0.14, "#c98a3a")


def apple_slices(layer: Layer) -> None:
    for count, reach in ((14, 114), (9, 68), (5, 26)):
        for step in range(count):
            angle = 2 * math.pi * step / count
            x, y = 256 + reach * math.cos(angle), 262 + reach * 0.92 * math.sin(angle)
            curve = arc(x, y, 24, 30, math.degrees(angle) + 20, math.degrees(angle) + 200, 14)
            layer.stroke(curve, 15, "#d98b2b")
            layer.stroke(curve, 11, "#f9dd8d")
    layer.oval(256, 258, 14, 13, "#d98b2b")


def layer_cake(layers: list[str], icing: str, top: Drawing) -> Drawing:
    def draw(layer: Layer) -> None:
        layer.oval(256, 404, 200, 40, PORCELAIN)
        layer.oval(256, 398, 200, 38, WHITE)
        height = 168 / len(layers)
        for index, fill in reversed(list(enumerate(layers))):
            y = 216 + index * height
            layer.oval(256, y + height, 150, 38, fill)
            layer.box(106, y, 300, height, 0, fill)
        layer.oval(256, 216, 150, 40, icing)
        top(layer)

    return draw


def fraisier_top(layer: Layer) -> None:
    for x in range(126, 400, 52):
        drop = 12 * math.sqrt(max(0, 1 - ((x - 256) / 150) ** 2)) + 20
        layer.oval(x, 296 + drop, 24, 34, RED)
        layer.oval(x, 300 + drop, 12, 20, "#f8b4b4")
    layer.oval(256, 212, 132, 32, "#f9c7d2")
    for x, y in ((216, 190), (298, 190), (256, 172)):
        layer.shape([(x - 32, y), (x + 32, y), (x, y + 44)], RED)
        layer.oval(x, y, 32, 22, RED)
        layer.shape([(x - 20, y - 16), (x, y - 4), (x + 20, y - 16), (x, y - 30)], LEAF)


def royal_top(layer: Layer) -> None:
    layer.oval(256, 210, 128, 30, "#6d4130")
    for angle in range(0, 360, 45):
        x, y = 256 + 104 * math.cos(math.radians(angle)), 206 + 24 * math.sin(math.radians(angle))
        layer.oval(x, y, 15, 13, CARAMEL)
        layer.oval(x - 3, y - 4, 6, 4, BUTTER)
    layer.shape([(212, 206), (256, 128), (300, 206)], "#3e2117")
    layer.shape([(230, 206), (276, 146), (300, 206)], "#7d4c37")


def birthday_top(layer: Layer) -> None:
    for x in range(118, 410, 36):
        layer.oval(x, 236 + 10 * math.sin(x), 19, 30, WHITE)
    layer.oval(256, 212, 148, 38, WHITE)
    for x, fill in ((186, "#4fa3d1"), (233, PINK), (280, YELLOW), (327, "#7cc576")):
        layer.box(x - 8, 132, 16, 84, 6, fill)
        layer.oval(x, 116, 9, 16, ORANGE)
        layer.oval(x, 120, 5, 9, YELLOW)
    scatter = random.Random(9)
    for _ in range(36):
        x, y = scatter.uniform(122, 390), scatter.uniform(280, 386)
        layer.oval(x, y, 6, 6, scatter.choice([PINK, YELLOW, "#4fa3d1", "#7cc576"]))


def sandwich(*fillings: str) -> Drawing:
    def draw(layer: Layer) -> None:
        layer.box(56, 290, 400, 74, 37, CRUST_DARK)
        layer.box(58, 286, 396, 60, 30, CRUST)
        layer.box(62, 276, 388, 26, 13, CRUMB)
        for index, fill in enumerate(fillings):
            y = 272 - index * 20
            layer.box(60, y, 392, 20, 10, fill)
            for x in range(84 + index * 13, 450, 44):
                layer.oval(x, y + 12, 25, 15, fill)
        top = 272 - len(fillings) * 20
        layer.box(62, top, 388, 26, 13, CRUMB)
        layer.box(56, top - 76, 400, 88, 44, CRUST_DARK)
        layer.box(58, top - 78, 396, 80, 40, CRUST)
        for x in range(110, 400, 84):
            layer.stroke([(x, top - 20), (x + 26, top - 52), (x + 60, top - 62)], 13, CREAM)

    return draw


def quiche(layer: Layer) -> None:
    layer.shape([(70, 210), (446, 300), (446, 366), (70, 276)], CRUST_DARK)
    layer.shape([(70, 210), (446, 300), (446, 340), (70, 250)], "#f4c65d")
    layer.shape([(70, 208), (402, 130), (446, 298)], "#f7d474")
    layer.stroke([(402, 132), (432, 210), (446, 300)], 40, CRUST)
    layer.stroke([(404, 140), (430, 212), (442, 292)], 18, CRUST_LIGHT)
    layer.stroke([(446, 304), (446, 356)], 34, CRUST)
    for x, y in ((190, 206), (260, 190), (330, 172), (250, 232), (322, 222), (370, 250), (380, 190), (310, 264)):
        layer.box(x, y, 34, 16, 6, "#d9697a")
        layer.box(x + 2, y + 3, 26, 5, 2, "#f7c0c4")
    for x, y in ((150, 216), (230, 214), (300, 206), (350, 222), (290, 240)):
        layer.oval(x, y, 5, 4, LEAF)


def croque(layer: Layer) -> None:
    for y in (340, 236):
        layer.box(96, y - 10, 320, 60, 24, CRUST_DARK)
        layer.box(100, y - 12, 312, 50, 22, CRUST)
        layer.box(104, y + 14, 304, 16, 8, CRUMB)
    layer.box(90, 300, 332, 26, 12, "#ee9aa4")
    layer.box(96, 284, 320, 20, 10, BUTTER)
    layer.box(92, 196, 328, 50, 24, BUTTER)
    for x, drop in ((116, 54), (180, 30), (236, 66), (300, 36), (356, 74), (398, 40)):
        layer.box(x - 15, 216, 30, drop, 15, BUTTER)
    for x, y, size in ((150, 214, 22), (250, 208, 28), (352, 216, 20), (300, 222, 12), (200, 226, 12)):
        layer.oval(x, y, size, size * 0.42, CARAMEL)


def cup(drink: str, froth: str | None) -> Drawing:
    def draw(layer: Layer) -> None:
        layer.oval(256, 410, 190, 36, SHADOW)
        layer.oval(256, 402, 190, 34, WHITE)
        layer.stroke(arc(384, 276, 56, 56, -80, 110), 26, PORCELAIN)
        layer.shape([(112, 202), (400, 202), *arc(256, 202, 144, 200, 0, 180)], WHITE)
        layer.shape([(256, 202), (400, 202), *arc(256, 202, 144, 200, 0, 60)], PORCELAIN)
        layer.oval(256, 202, 144, 44, PORCELAIN)
        layer.oval(256, 206, 128, 36, drink)
        if froth:
            layer.oval(256, 206, 104, 28, froth)
            for turn in (-40, 0, 40):
                layer.oval(256 + turn, 202 - abs(turn) * 0.1, 20, 13, WHITE)
                layer.oval(256 + turn, 206, 12, 7, froth)
        for x in (206, 256, 306):
            layer.stroke([(x, 136), (x + 14, 112), (x - 6, 88), (x + 8, 62)], 9, WHITE)

    return draw


def juice(layer: Layer) -> None:
    layer.stroke([(300, 190), (346, 70), (392, 58)], 14, "#e4575c")
    layer.shape([(150, 120), (362, 120), (336, 420), (176, 420)], "#eaf3f6")
    layer.shape([(158, 176), (354, 176), (332, 408), (180, 408)], ORANGE)
    layer.shape([(158, 176), (206, 176), (216, 408), (180, 408)], "#ffb75a")
    layer.oval(256, 176, 98, 20, "#ffc06b")
    layer.oval(160, 150, 66, 66, "#e98414")
    layer.oval(160, 150, 58, 58, "#fff0cf")
    for turn in range(0, 360, 60):
        angle = math.radians(turn)
        layer.oval(160 + 30 * math.cos(angle), 150 + 30 * math.sin(angle), 17, 17, ORANGE)


def lemonade(layer: Layer) -> None:
    layer.box(222, 60, 68, 100, 14, "#dff0d8")
    layer.box(214, 48, 84, 34, 10, "#c9413f")
    layer.shape([(222, 140), (290, 140), (338, 220), (174, 220)], "#dff0d8")
    layer.box(172, 204, 168, 234, 30, "#dff0d8")
    layer.box(184, 232, 144, 194, 22, "#fbeb8f")
    layer.box(172, 266, 168, 104, 0, WHITE)
    layer.oval(256, 318, 46, 34, YELLOW)
    layer.oval(212, 318, 12, 8, YELLOW)
    layer.oval(300, 318, 12, 8, YELLOW)
    layer.oval(244, 306, 16, 8, "#fff6b8")
    layer.oval(292, 290, 20, 10, LEAF)
    for x, y in ((204, 250), (300, 244), (220, 396), (296, 404), (256, 386)):
        layer.oval(x, y, 6, 6, WHITE)
    layer.box(188, 180, 14, 70, 7, WHITE)


def turned(draw: Drawing, degrees: float) -> Drawing:
    def tilted(layer: Layer) -> None:
        draw(layer)
        layer.image = layer.image.rotate(degrees, Image.Resampling.BICUBIC)

    return tilted


def paint(draw: Drawing, background: str, glow: str) -> Image.Image:
    """A drawing on its background: a lighter disc behind it, a soft shadow below."""
    sheet = Image.new("RGB", (SIZE * SCALE, SIZE * SCALE), background)
    ImageDraw.Draw(sheet).ellipse(_scaled((36, 36), (476, 476)), glow)
    layer = Layer()
    draw(layer)
    dark = Image.new("RGBA", sheet.size, "#5b3a1e")
    shade = layer.image.getchannel("A").point(lambda alpha: alpha // 6)
    shade = shade.filter(ImageFilter.GaussianBlur(6 * SCALE))
    sheet.paste(dark, (5 * SCALE, 14 * SCALE), shade)
    sheet.paste(layer.image, (0, 0), layer.image)
    small = sheet.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return small.quantize(44, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


ROSE, SAND, SKY, MINT, LILAC, PEACH = (
    ("#f6d5d2", "#fbe8e4"), ("#f1e0c4", "#f9efdd"), ("#cfe3ea", "#e4f1f5"),
    ("#d5e6cf", "#e9f3e4"), ("#e0d8ec", "#efeaf6"), ("#fbdcc2", "#fdecdd"),
)  # fmt: skip
PICTURES: dict[str, tuple[Drawing, tuple[str, str]]] = {
    "croissant": (croissant(), PEACH),
    "pain-au-chocolat": (pain_au_chocolat, PEACH),
    "pain-aux-raisins": (spiral, PEACH),
    "croissant-amandes": (croissant(almonds=True), PEACH),
    "chausson-pommes": (turnover, PEACH),
    "brioche-sucre": (brioche, PEACH),
    "kouign-amann": (kouign, PEACH),
    "tradition": (baguette(), SAND),
    "baguette-cereales": (baguette(seeds=True), SAND),
    "pain-campagne": (miche("#b9752c", "#d79a4c", cross=True), SAND),
    "pain-complet": (miche("#8a5428", "#a56d3c", cross=False), SAND),
    "pain-noix": (miche("#a5652a", "#c38644", cross=False, bits="#c99b63"), SAND),
    "pain-mie": (tin_loaf, SAND),
    "fougasse-olives": (fougasse, SAND),
    "eclair-chocolat": (eclair(CHOCOLATE, "#8a5a45"), ROSE),
    "eclair-cafe": (eclair("#b07d50", "#d8ae85"), ROSE),
    "paris-brest": (paris_brest, ROSE),
    "millefeuille": (millefeuille, ROSE),
    "macaron-framboise": (macaron("#e0607f", "#f39bb0", "#b9274a"), ROSE),
    "macaron-pistache": (macaron("#9dbb62", "#c3d896", "#e9f0c9"), MINT),
    "macaron-citron": (macaron("#f0cf4f", "#f9e58f", "#fffbe0"), SKY),
    "tartelette-fraises": (round_tart(CREAM, strawberries), ROSE),
    "tarte-citron": (round_tart(YELLOW, meringue), LILAC),
    "tarte-pommes": (round_tart("#eeb04a", apple_slices), LILAC),
    "tarte-framboises": (round_tart(CREAM, berries("#d63a5e", "#f7a8ba", 25)), LILAC),
    "fraisier": (layer_cake(["#f6dca0", "#fff3e4", "#fff3e4", "#f6dca0"], "#f7a9ba", fraisier_top), LILAC),
    "royal-chocolat": (layer_cake(["#4b291c", "#6d4130", "#c08a4a", "#4b291c"], "#4b291c", royal_top), LILAC),
    "gateau-anniversaire": (layer_cake(["#fbc6d4", "#fbc6d4"], "#fbc6d4", birthday_top), LILAC),
    "jambon-beurre": (sandwich("#f39fa9", "#f7b9bf", BUTTER), MINT),
    "sandwich-poulet": (sandwich("#7fb55a", "#e04f44", "#f3dcae", "#8fc468"), MINT),
    "sandwich-chevre": (sandwich("#6ea24e", WHITE, "#f2b33d"), MINT),
    "quiche-lorraine": (quiche, MINT),
    "croque-monsieur": (croque, MINT),
    "cafe": (cup("#4a2a1a", None), SKY),
    "cafe-creme": (cup(COFFEE, "#d9b48c"), SKY),
    "chocolat-chaud": (cup(CHOCOLATE, "#8a5a45"), SKY),
    "jus-orange": (juice, SKY),
    "limonade": (lemonade, SKY),
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, (draw, (background, glow)) in PICTURES.items():
        paint(draw, background, glow).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
