"""Gates, balance of liveness, limit of faces, clock and installation."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connections

from apps.common.config import override_config
from apps.common.errors import LunaError
from apps.common.times import utc_now
from apps.licenses import jobs, services
from apps.licenses.config import Licensing
from apps.licenses.document import Feature, LicenseError, license_write
from apps.licenses.models import Charge, Installation, Usage
from apps.licenses.selectors import (
    EXPIRED,
    grant_require,
    installation,
    license_require,
    license_state,
    standing_forget,
)
from apps.licenses.services import charged_once, faces_allow, faces_forget, license_install, liveness_reserved
from tests.licenses import KEY, NO, counted, licensed, make_license, public, store

pytestmark = pytest.mark.django_db
LIVENESS_OF = {Feature.LIVENESS: counted(10)}


def consume(count: int, used: int | None = None) -> None:
    with liveness_reserved(count) as reserved:
        reserved.used = count if used is None else used


def fail_in_the_middle() -> None:
    with liveness_reserved(3) as reserved:
        reserved.used = 3
        assert used() == 3
        raise ZeroDivisionError


def used() -> int:
    return sum(Usage.objects.values_list("liveness_used", flat=True))


def code_of(raised: "pytest.ExceptionInfo[LunaError]") -> int:
    return raised.value.code


def test_an_open_platform_has_no_limits() -> None:
    license_require()
    faces_allow(10**9)
    consume(10**9)
    state = license_state()
    assert state.is_open
    assert state.problem is None
    assert all(each.available and each.limit is None for each in state.features.values())
    assert not state.notices
    assert not Usage.objects.exists()


@pytest.mark.parametrize(
    ("license", "text", "row", "problem"),
    [
        (None, "", {}, "no license is installed"),
        (None, "{}", {}, "not a licence"),
        (make_license(installation_id=uuid4()), None, {}, "is for installation"),
        (None, None, {"latest_time": utc_now() + timedelta(days=1)}, "the clock is set back"),
        (make_license(issued_at=utc_now() + timedelta(days=1)), None, {}, "the clock is set back"),
    ],
)
def test_without_a_valid_licence_nothing_is_granted(license: Any, text: Any, row: Any, problem: str) -> None:
    with licensed(license, text=text, **row):
        with pytest.raises(LunaError, match=problem) as raised:
            license_require()
        assert code_of(raised) == 11055
        for feature in Feature:
            with pytest.raises(LunaError, match=problem) as raised:
                grant_require(feature)
            assert code_of(raised) == 33001
        state = license_state()
        assert state.problem is not None
        assert problem in state.problem
        assert not any(each.available for each in state.features.values())
        assert problem in state.notices[0]


def test_a_small_correction_of_the_clock_is_no_fraud() -> None:
    with licensed(latest_time=utc_now() + timedelta(minutes=30)):
        license_require()
        assert Installation.objects.get().latest_time > utc_now() + timedelta(minutes=29)


def test_the_latest_time_follows_the_clock() -> None:
    with licensed(latest_time=utc_now() - timedelta(days=3)):
        license_require()
        assert Installation.objects.get().latest_time > utc_now() - timedelta(minutes=1)


def test_an_expired_licence() -> None:
    with licensed(make_license(expires_at=utc_now() - timedelta(seconds=1))):
        with pytest.raises(LunaError, match="License has expired") as raised:
            license_require()
        assert code_of(raised) == 11055
        with pytest.raises(LunaError, match="liveness: license expired") as raised:
            consume(1)
        assert code_of(raised) == 33005
        state = license_state()
        assert (state.is_expired, state.period_rest_s, state.notices) == (True, 0, (EXPIRED,))


def test_it_expires_while_processes_run() -> None:
    with licensed(make_license(expires_at=utc_now() + timedelta(milliseconds=200))):
        license_require()
        while not license_state().is_expired:
            pass
        with pytest.raises(LunaError, match="License has expired"):
            license_require()  # by the remembered licence


def test_features_that_are_excluded_or_missing() -> None:
    license = make_license({Feature.DEEPFAKE: NO})
    with licensed(license):
        grant_require(Feature.ISO)
        with pytest.raises(LunaError) as raised:
            grant_require(Feature.DEEPFAKE)
        assert (code_of(raised), raised.value.status) == (33002, 403)
        assert "deepfake" in raised.value.detail
    del license.features[Feature.DEEPFAKE]  # type: ignore[attr-defined]
    with licensed(license), pytest.raises(LunaError, match="deepfake") as raised:
        grant_require(Feature.DEEPFAKE)
    assert code_of(raised) == 33003


# --- liveness -------------------------------------------------------------------------------------------------


def test_the_balance_never_falls_below_zero() -> None:
    with licensed(make_license(LIVENESS_OF)) as license:
        license_install(text=license_write(license, KEY))
        consume(4)
        consume(6, used=2)
        with pytest.raises(LunaError, match="5 transactions, 4 are left") as raised:
            consume(5)
        assert code_of(raised) == 33004
        assert used() == 6
        consume(4)
        with pytest.raises(LunaError, match="0 are left"):
            consume(1)
        consume(0)
        assert license_state().features[Feature.LIVENESS].left == 0


def test_failed_work_costs_nothing() -> None:
    with licensed(make_license(LIVENESS_OF)) as license:
        license_install(text=license_write(license, KEY))
        with pytest.raises(ZeroDivisionError), charged_once("a"):
            fail_in_the_middle()
        assert used() == 0
        assert not Charge.objects.exists()


def test_repeated_work_is_counted_once() -> None:
    """The first run ends without its end, as by a kill."""
    with licensed(make_license(LIVENESS_OF)) as license:
        license_install(text=license_write(license, KEY))
        with charged_once("batch 1"):
            killed = liveness_reserved(3)
            killed.__enter__()
        assert used() == 3
        for _ in range(3):
            with charged_once("batch 1"):
                consume(3)
        assert used() == 3
        with charged_once("batch 2"):
            consume(3)
        assert used() == 6


def test_old_keys_are_deleted() -> None:
    with licensed(make_license(LIVENESS_OF)) as license:
        license_install(text=license_write(license, KEY))
        for key in ("old", "new"):
            with charged_once(key):
                consume(1)
        newest = Charge.objects.order_by("create_time").last()
        Charge.objects.exclude(pk=newest.pk).update(create_time=utc_now() - timedelta(days=91))
        jobs.watch()
        assert list(Charge.objects.all()) == [newest]


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_never_exceed_the_balance() -> None:
    with licensed(make_license({Feature.LIVENESS: counted(25)})) as license:
        license_install(text=license_write(license, KEY))

        def one(number: int) -> int:
            try:
                consume(1)
            except LunaError as error:
                return error.code
            finally:
                connections.close_all()
            return 0

        with ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(one, range(40)))
        assert sorted(codes) == [0] * 25 + [33004] * 15
        assert used() == 25


def test_installing_a_licence_again_restores_no_balance() -> None:
    with licensed(make_license(LIVENESS_OF)) as license:
        text = license_write(license, KEY)
        license_install(text=text)
        consume(7)
        license_install(text=license_write(make_license({Feature.LIVENESS: counted(3)}), KEY))
        consume(3)
        license_install(text=text)
        assert license_state().features[Feature.LIVENESS].left == 3


# --- faces ----------------------------------------------------------------------------------------------------


@pytest.fixture
def stored_faces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the number of stored faces, which the test changes; counts are never reused."""
    number = [0]
    monkeypatch.setattr(services, "faces_counted", lambda: number[0])
    monkeypatch.setattr(services, "RECOUNT_REFUSED_S", 0.0)
    monkeypatch.setattr(services, "COUNT_SHARE", 1e9)
    monkeypatch.setattr(services, "_logged_at", {})
    return number


@pytest.mark.parametrize(
    ("stored", "added", "accepted", "text"),
    [(0, 84, True, ""), (0, 85, True, "15% are left"), (99, 1, True, "0% are left"), (100, 1, True, "limit exceeded"),
     (109, 1, True, "limit exceeded"), (110, 1, False, ""), (100, 11, False, ""), (500, 0, True, "")],
)  # fmt: skip
def test_the_limit_of_faces(
    stored_faces: list[int], caplog: Any, stored: int, added: int, accepted: bool, text: str
) -> None:
    stored_faces[0] = stored
    with licensed(make_license({Feature.FACES: counted(100)})), caplog.at_level(logging.WARNING):
        if accepted:
            faces_allow(added)
        else:
            with pytest.raises(LunaError, match="faces") as raised:
                faces_allow(added)
            assert code_of(raised) == 33004
    assert (text in caplog.text) if text else not caplog.text


def test_the_notice_of_the_limit_follows_the_one_before_it(stored_faces: list[int], caplog: Any) -> None:
    with licensed(make_license({Feature.FACES: counted(10)})), caplog.at_level(logging.WARNING):
        for _ in range(11):
            faces_allow(1)
    assert ["almost reached" in each.message for each in caplog.records] == [True, False]


def test_faces_of_this_process_count_at_once_and_deleted_ones_before_a_refusal(stored_faces: list[int]) -> None:
    with licensed(make_license({Feature.FACES: counted(10)})):
        for _ in range(11):
            faces_allow(1)
        stored_faces[0] = 11
        with pytest.raises(LunaError):
            faces_allow(1)
        stored_faces[0] = 5
        faces_allow(1)


# --- installation ---------------------------------------------------------------------------------------------


def test_files_that_cannot_be_installed() -> None:
    now = utc_now()
    refused = {
        "is for installation": make_license(installation_id=uuid4()),
        "expired on": make_license(expires_at=now - timedelta(days=1)),
        "check the clock": make_license(issued_at=now + timedelta(hours=2)),
    }
    with licensed() as license:
        before = Installation.objects.get().document
        for problem, other in refused.items():
            with pytest.raises(LicenseError, match=problem):
                license_install(text=license_write(other, KEY))
        with pytest.raises(LicenseError, match="not a licence"):
            license_install(text="")
        assert Installation.objects.get().document == before
        assert license_state().license == license
    with pytest.raises(LicenseError, match="LUNA_LICENSE_PUBLIC_KEYS is not set"):
        license_install(text=license_write(make_license(), KEY))


def test_only_a_new_licence_ends_the_fault_of_the_clock() -> None:
    license = make_license(installation_id=installation().installation_id)
    with override_config(Licensing, public_keys=(public(),)):
        license_install(text=license_write(license, KEY))
        store(Installation.objects.get().document, latest_time=utc_now() + timedelta(days=9))
        license_install(text=license_write(license, KEY))
        with pytest.raises(LunaError, match="clock is set back"):
            license_require()
        license_install(text=license_write(make_license(), KEY))
        license_require()


def test_notices_two_weeks_before_the_expiry(caplog: Any) -> None:
    with licensed(make_license(expires_at=utc_now() + timedelta(days=15))):
        assert license_state().notices == ()
    with licensed(make_license(expires_at=utc_now() + timedelta(days=13))):
        (notice,) = license_state().notices
        assert notice.startswith("License expires in 13.0 days")
        with caplog.at_level(logging.INFO):
            jobs.watch()
        assert notice in caplog.text
        assert "license_period_rest: " in caplog.text


# --- the tool -------------------------------------------------------------------------------------------------


def test_the_tool_of_issuers(tmp_path: Any, capsys: Any) -> None:
    private, file = tmp_path / "issuer.pem", tmp_path / "harbour.json"
    call_command("license", "keygen", "--private", str(private))
    key = capsys.readouterr().out.strip().removeprefix("LUNA_LICENSE_PUBLIC_KEYS=")
    assert private.stat().st_mode & 0o777 == 0o600
    issue = ("license", "issue", "--key", str(private), "--licensee", "Harbour Ltd", "--out", str(file))
    call_command(*issue, "--expires", "2999-12-31", "--faces", "1000", "--liveness", "unlimited", "--iso", "1")
    with override_config(Licensing, public_keys=(key,)):
        call_command("license", "install", str(file))
        state = license_state()
        granted = {name for name, each in state.features.items() if each.available}
        assert granted == {Feature.FACES, Feature.LIVENESS, Feature.ISO}
        assert state.features[Feature.FACES].limit == 1000
        assert state.license is not None
        assert f"{state.license.expires_at:%Y-%m-%d %H:%M}" == "2999-12-31 23:59"
        call_command("license", "show")
        assert "faces: 0 of 1000 used" in capsys.readouterr().out
        call_command("license", "show", str(file))
        call_command("license", "remove")
        assert "requests are rejected" in capsys.readouterr().out
        standing_forget()
        with pytest.raises(LunaError, match="no license is installed"):
            license_require()
    standing_forget()
    faces_forget()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--expires", "2020-01-01"), "in the past"),
        (("--expires", "tomorrow"), "invalid"),
        (("--expires", "never", "--faces", "-1"), "invalid"),
        (("--expires", "never", "--liveness", "16777216"), "invalid"),
        (("--expires", "never", "--iso", "2"), "invalid"),
        (("--expires", "never", "--installation", "here"), "invalid"),
    ],
)
def test_values_that_the_tool_rejects(tmp_path: Any, arguments: tuple[str, ...], problem: str) -> None:
    private = tmp_path / "issuer.pem"
    call_command("license", "keygen", "--private", str(private))
    out = tmp_path / "file"
    with pytest.raises(Exception, match=problem):
        call_command("license", "issue", "--key", str(private), "--licensee", "x", "--out", str(out), *arguments)
    assert not out.exists()


def test_files_are_never_overwritten(tmp_path: Any) -> None:
    private = tmp_path / "issuer.pem"
    private.write_text("precious")
    with pytest.raises(Exception, match="exists"):
        call_command("license", "keygen", "--private", str(private))
    assert private.read_text() == "precious"
    with pytest.raises(Exception, match="not the private key"):
        call_command("license", "issue", "--key", str(private), "--licensee", "x", "--expires", "never", "--out", "y")
