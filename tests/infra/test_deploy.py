"""What a server is told, told again, and told wrongly; on Prefect's own API, without workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from prefect.automations import AutomationCore
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate, WorkPoolCreate
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.testing.utilities import prefect_test_harness
from pydantic import SecretStr

from infra.prefect.deploy import prepare
from infra.prefect.names import POOL
from lake.configuration import load_settings
from lake.errors import LakehouseError
from lake.settings import Settings
from tasks.prefect_runs import WRITER_SLOT

SILENT = "lakehouse: a silent run has crashed"
FAILED = "lakehouse: tell of failed runs"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with prefect_test_harness(server_startup_timeout=120):
        yield str(get_current_settings().api.url)


@pytest.fixture
def client(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncPrefectClient]:
    """A client of a server without our pool."""
    monkeypatch.setenv("PREFECT_API_URL", server)
    with get_client(sync_client=True) as client:
        with suppress(ObjectNotFound):
            client.delete_work_pool(POOL)
        yield client


def with_webhook(url: str) -> Settings:
    settings = load_settings()
    return settings.model_copy(update={"flow": settings.flow.model_copy(update={"webhook": SecretStr(url)})})


def test_pool_slot_and_automation_are_made_once(client: SyncPrefectClient) -> None:
    prepare(load_settings())
    (first,) = client.read_automations_by_name(SILENT)
    prepare(load_settings())
    assert client.read_work_pool(POOL).type == "process"
    assert client.read_global_concurrency_limit_by_name(WRITER_SLOT).limit == 1
    assert client.read_automations_by_name(SILENT) == [first]


def test_a_changed_automation_is_brought_up_to_date(client: SyncPrefectClient) -> None:
    prepare(load_settings())
    (known,) = client.read_automations_by_name(SILENT)
    earlier = AutomationCore.model_validate(
        known.model_dump(exclude={"id", "owner_resource"}) | {"tags": ["old"], "description": "old"}
    )
    client.update_automation(known.id, earlier)
    prepare(load_settings())
    (now,) = client.read_automations_by_name(SILENT)
    assert now.id == known.id
    assert (now.description, now.tags) == (known.description, known.tags)


def test_the_webhook_is_kept_secret_and_told_of_failed_runs(client: SyncPrefectClient) -> None:
    prepare(with_webhook("http://127.0.0.1:9/first"))
    prepare(with_webhook("http://127.0.0.1:9/second"))
    (block,) = [b for b in client.read_block_documents(include_secrets=False) if b.name == "lakehouse-failed-runs"]
    assert "127.0.0.1" not in str(block.data["url"])
    assert len(client.read_automations_by_name(FAILED)) == 1


def test_a_slot_whose_holder_is_gone_is_freed(client: SyncPrefectClient) -> None:
    prepare(load_settings())
    client.update_global_concurrency_limit(WRITER_SLOT, GlobalConcurrencyLimitUpdate(active_slots=1))
    prepare(load_settings())
    assert client.read_global_concurrency_limit_by_name(WRITER_SLOT).active_slots == 0


def test_a_pool_of_another_type_is_named_with_what_to_type(client: SyncPrefectClient) -> None:
    client.create_work_pool(WorkPoolCreate(name=POOL, type="docker"))
    with pytest.raises(LakehouseError, match="is of type docker") as refused:
        prepare(load_settings())
    assert "work-pool delete lakehouse" in (refused.value.mend or "")
