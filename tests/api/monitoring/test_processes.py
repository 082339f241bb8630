"""Every process publishes its status; administrators read that of all processes in the overview."""

import subprocess
import sys
import time

import pytest
import redis
from django.test import Client

from apps.accounts.models import Account
from apps.accounts.roles import Role
from apps.common.redis_client import RedisAwayError
from apps.common.scope import Scope
from apps.matching.matcher import MATCHER
from apps.matching.plugins.router import searches
from apps.matching.types import FaceCandidates
from apps.monitoring import processes as processes_module
from apps.monitoring.processes import KEY, LIFETIME_S, NAMES, Publisher, processes, publish
from tests.api.test_admin_overview import site_of
from tests.factories import make_version, unit_vectors

pytestmark = pytest.mark.django_db
PUBLISH = "import django; django.setup(); from apps.monitoring.processes import publish; publish('worker')"


def test_administrators_see_all_processes(site: Client, owner: Account) -> None:
    version = make_version(9771, 8)
    before = dict(searches().status())
    MATCHER.search(FaceCandidates(scope=Scope(owner.pk)), version, list(unit_vectors(2, 8)), 3, 0.0)
    publish("web")
    subprocess.run([sys.executable, "-c", PUBLISH], check=True, timeout=60)

    web, worker = sorted(processes(), key=lambda each: each.name)
    assert (web.name.split()[0], worker.name.split()[0]) == ("web", "worker")
    assert web.name.split(":")[1] != worker.name.split(":")[1]
    assert web.age_s < LIFETIME_S
    counts = {name: int(web.objects["matching"][name]) - int(before[name]) for name in before if name != "seconds"}  # type: ignore[call-overload]
    assert counts == {"requests": 1, "sub_requests": 2, "database": 2, "handed_back": 0, "errors": 0}

    content = site.get("/admin/").content.decode()
    assert web.name in content
    assert worker.name in content
    assert "sub requests" in content


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
def test_other_roles_do_not(role: Role) -> None:
    publish("web")
    response = site_of(role).get("/admin/")
    assert response.status_code == 200
    assert response.context["processes"] == []
    assert "Processes" not in response.content.decode()


def test_a_process_that_has_ended_is_forgotten(redis_client: redis.Redis) -> None:
    publish("web")
    (one,) = processes()
    assert 0 < redis_client.ttl(KEY.format(one.name)) <= LIFETIME_S
    redis_client.delete(KEY.format(one.name))
    assert processes() == []
    assert not redis_client.exists(NAMES)


def test_redis_is_away(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise RedisAwayError

    monkeypatch.setattr(processes_module, "client", away)
    assert processes() == []
    assert site.get("/admin/").status_code == 200


def test_the_thread_publishes_again_and_again(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes_module, "INTERVAL_S", 0.02)
    publisher = Publisher()
    publisher.start("web")
    deadline = time.monotonic() + 10
    for _ in range(2):
        while not processes() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [each.name.split()[0] for each in processes()] == ["web"]
        redis_client.flushdb()
    publisher.close()
