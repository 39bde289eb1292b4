"""What Meta's codes mean, by the table of the Cloud API's error codes."""

import pytest
from panier_sender.errors import RULES, Class, classify, rule_of
from panier_sender.graph import NO_ANSWER, NO_CONNECTION, read_answer

# (class, codes) as the reference has them; written out here so that the table cannot change unseen.
EXPECTED = {
    Class.SLOW_NUMBER: {4, 80007, 130429, 131057},
    Class.DELAY_CUSTOMER: {131056},
    Class.RETRY: {2, 131016, 133004},
    Class.RETRY_FEW: {1, 131000, 134101},
    Class.PARK: {0, 190},
    Class.STOP_SHOP: {368, 131031, 131042, 131064, 133016, 131037, 131045, 133010, 33},
    Class.WINDOW_CLOSED: {131047},
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_codes_of_each_class(kind):
    assert {code for code, rule in RULES.items() if rule.kind is kind} == EXPECTED[kind]


def test_all_other_known_codes_are_given_up():
    known = set().union(*EXPECTED.values())
    assert {RULES[code].kind for code in RULES.keys() - known} == {Class.GIVE_UP}


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (131056, 500, Class.DELAY_CUSTOMER),  # the code counts, not the status
        (3, 500, Class.GIVE_UP),
        (200, 403, Class.GIVE_UP),
        (299, 403, Class.GIVE_UP),
        (987654, 400, Class.GIVE_UP),
        (987654, 500, Class.RETRY_FEW),
        (987654, 429, Class.SLOW_NUMBER),
        (987654, 401, Class.PARK),
        (200, 429, Class.GIVE_UP),
        (None, 429, Class.SLOW_NUMBER),
        (None, 401, Class.PARK),
        (None, 404, Class.RETRY_FEW),
        (None, 500, Class.IN_DOUBT),
        (None, 502, Class.IN_DOUBT),
    ],
)
def test_the_status_counts_only_without_a_known_code(code, status, kind):
    assert classify(code, status).kind is kind


@pytest.mark.parametrize(
    ("status", "body", "kind", "wamid", "code"),
    [
        (200, b'{"messages":[{"id":"wamid.1","message_status":"accepted"}]}', Class.ACCEPTED, "wamid.1", 0),
        (200, b"{}", Class.IN_DOUBT, "", 0),
        (200, b"<html>", Class.IN_DOUBT, "", 0),
        (400, b'{"error":{"message":"x","code":131026,"error_subcode":1}}', Class.GIVE_UP, "", 131026),
        (503, b"<html>", Class.IN_DOUBT, "", 0),
        (500, b'{"error":{"code":"many"}}', Class.IN_DOUBT, "", 0),
        (NO_CONNECTION, b"", Class.UNREACHED, "", 0),
        (NO_ANSWER, b"", Class.IN_DOUBT, "", 0),
    ],
)
def test_reads_answers(status, body, kind, wamid, code):
    rule, found, found_code = read_answer(status, body)
    assert (rule.kind, found, found_code) == (kind, wamid, code)


def test_a_late_failure_has_a_reason():
    assert rule_of(131047).reason == "window_closed"
    assert rule_of(424242).reason == "refused"
