"""Fixtures of checkout's tests: a stage of its own for each story."""

from collections.abc import Callable

import pytest

from .stage import Stage

MakeStage = Callable[..., Stage]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture(scope="session")
def make_stage() -> MakeStage:
    return Stage
