"""Whatever a customer does in whatever order: nothing is ordered twice, nothing that was not shown before, and every
message is answered.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from panier_checkout.draft import order_id_of
from panier_common.contracts import events as e
from panier_common.contracts import inbound as m

from .stage import LINES, PLENTY, Stage

SINGLE = [
    "start", "start_plenty", "start_stale", "collect", "deliver", "confirm", "confirm_shown", "confirm_first",
    "dismiss", "address", "place", "orders", "cancel", "again", "pay", "reserve", "refuse", "reprice", "overdue",
    "paid", "expire", "next_day",
]  # fmt: skip
# Without whole ways through, most sequences would never reach an order.
WAYS = [
    ["start", "collect"],
    ["start", "collect", "confirm"],
    ["start_plenty", "deliver", "address", "confirm_shown"],
    ["start", "collect", "confirm", "reserve"],
    ["start_plenty", "deliver", "place", "confirm", "reserve", "paid"],
]
ACTS = st.lists(st.sampled_from([*([act] for act in SINGLE), *WAYS, *WAYS]), max_size=12).map(
    lambda ways: [act for way in ways for act in way]
)


class Play:
    """Plays acts on a stage and keeps a ledger of its own."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.asked: list[str] = []
        self.placed: list[str] = []
        self.paid: list[str] = []
        self.shown: list[str] = []
        self.said: set[str] = set()
        self.answered: set[str] = set()
        self.wamids = 0

    def note(self) -> None:
        """What the last record caused."""
        stage = self.stage
        self.asked += [event.order_id for event in stage.happened(e.StockRequested)]
        self.placed += [event.order_id for event in stage.happened(e.OrderPlaced)]
        self.paid += [event.order_id for event in stage.happened(e.OrderPaid)]
        self.shown += [i for i in stage.buttons if i.startswith("checkout:confirm:")]
        self.answered |= {event.answers for event in stage.happened(e.MessageRequested) if event.answers}
        for kind in (e.EnquiryRaised, e.CartAsked, e.OrderRepeated):
            self.answered |= {event.wamid for event in stage.happened(kind)}

    def send(self, content: m.Content) -> None:
        self.said.add(f"wamid.{self.stage.serial + 1}")
        self.stage.send(content)

    def start(self, lines: tuple[e.Line, ...], *, stale: bool = False) -> None:
        self.wamids += 1
        wamid = f"wamid.request{self.wamids}"
        last = None if stale else self.stage.desk.dialogue(self.stage.conversation).last_order
        self.said.add(wamid)
        self.stage.checkout(lines, last, wamid=wamid)

    def outstanding(self) -> bool:
        draft = self.stage.desk.dialogue(self.stage.conversation).draft
        return draft is not None and draft.stage == "frozen"

    def act(self, act: str) -> None:
        stage = self.stage
        match act:
            case "start" | "start_stale":
                self.start(LINES, stale=act == "start_stale")
            case "start_plenty":
                self.start(PLENTY)
            case "collect" | "deliver" | "confirm" | "dismiss" | "orders":
                self.send(m.Reply(f"checkout:{act}"))
            case "confirm_shown" | "confirm_first" if self.shown:
                self.send(m.Reply(self.shown[0 if act == "confirm_first" else -1]))
            case "address":
                self.send(m.Text("12 rue des Lilas"))
            case "place":
                self.send(m.Location(43.3, 5.4))
            case "cancel" | "again" | "pay" if self.placed:
                self.send(m.Reply(f"checkout:{act}:{self.placed[-1]}"))
            case "reserve" if self.asked:
                stage.reserved(self.asked[-1])  # also when it was answered before, or given up
            case "refuse" if self.outstanding():
                stage.refused(short=(e.ShortLine("croissant", 4, 1),))
            case "reprice" if self.outstanding():
                stage.refused(repriced=(e.ShortLine("croissant", 4, None, unit_minor=150),))
            case "overdue" if any(key.startswith("stock:") for key in stage.timers):
                stage.fire("stock:")
            case "paid" if self.placed:
                stage.told(stage.order, f"n-{stage.serial}")
            case "expire" if any(key.startswith("overdue:") for key in stage.timers):
                stage.fire("overdue:")
            case "next_day":
                stage.later(hours=25)
                return
            case _:
                return
        self.note()


@settings(max_examples=300)
@given(ACTS)
def test_nothing_is_ordered_twice_or_unseen_and_everything_is_answered(acts: list[str]) -> None:
    play = Play()
    for act in acts:
        before = play.outstanding()
        asked, seen = len(play.asked), {order_id_of(button.rpartition(":")[2]) for button in play.shown}
        play.act(act)
        assert set(play.asked) <= seen
        assert not (before and len(play.asked) > asked and act not in {"reserve", "refuse", "reprice", "overdue"})
    while play.outstanding():
        play.act("reserve")
    assert len(play.placed) == len(set(play.placed))
    assert set(play.placed) <= set(play.asked)
    assert len(play.paid) == len(set(play.paid))
    for order in play.stage.desk.orders.get(play.stage.conversation, {}).values():
        assert order.total_minor == sum(line.total_minor for line in order.lines) + order.fees_minor
        assert order.fulfilment.way == "collect" or order.fulfilment.address is not None
    missing = play.said - play.answered
    assert not missing
