"""Processes that torchrun has restarted meet under new keys of its store."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import torch.distributed as dist
from torch.distributed import TCPStore

from firstsight.engine.accelerator import _join_after_restart

Call = tuple[str, dict[str, Any]]


@pytest.fixture
def agent_store(monkeypatch: pytest.MonkeyPatch) -> TCPStore:
    """Return the store of an agent, and set the environment that it gives the second of three workers."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=5))
    environment = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "RANK": "1",
        "WORLD_SIZE": "3",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "2",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return store


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Call]]:
    """Record the groups that would be joined."""
    calls: list[Call] = []
    monkeypatch.setattr(dist, "init_process_group", lambda backend, **options: calls.append((backend, options)))
    yield calls


def test_restarted_process_joins_with_the_keys_of_its_attempt(agent_store: TCPStore, joined: list[Call]) -> None:
    _join_after_restart("cpu")
    [(backend, options)] = joined
    assert (backend, options["rank"], options["world_size"]) == ("gloo", 1, 3)
    options["store"].set("address", "here")
    assert agent_store.get("attempt-2/address") == b"here"
    assert not agent_store.check(["address"])


@pytest.mark.parametrize(
    ("name", "value"), [("TORCHELASTIC_RESTART_COUNT", "0"), ("TORCHELASTIC_USE_AGENT_STORE", "False")]
)
@pytest.mark.usefixtures("agent_store")
def test_first_attempt_and_other_stores_are_left_to_torch(
    monkeypatch: pytest.MonkeyPatch, joined: list[Call], name: str, value: str
) -> None:
    for change in (lambda: monkeypatch.setenv(name, value), lambda: monkeypatch.delenv(name)):
        change()
        _join_after_restart("cpu")
        assert joined == []
