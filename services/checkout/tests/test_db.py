"""Rows on a real PostgreSQL: what is saved is loaded again, and in how many statements."""

import asyncio

import asyncpg
import pytest
from conftest import CONVERSATION, CUSTOMER, NOON, NUMBER, SHOP, WORDS, FixedShops, Stage
from msgspec.structs import replace

from panier_checkout import db
from panier_checkout.desk import Trade
from panier_checkout.handlers import decide
from panier_checkout.loops import load_desk, load_ledger, payments_loop
from panier_checkout.notifications import record
from panier_common.contracts import events as e
from panier_common.contracts import inbound as m
from panier_common.event import Received, inbound_id
from panier_payments import Simulated
