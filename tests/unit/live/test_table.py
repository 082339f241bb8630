"""Every setting that changes in a running process has a test of its effect."""

from apps.common.config import Scope
from tests.unit.live.table import WITHOUT_EFFECT, settings_of, settings_with_tests


def test_each_live_setting_has_a_test() -> None:
    wanted = set(settings_of(Scope.LIVE, Scope.ENGINE))
    assert set(WITHOUT_EFFECT) <= wanted
    assert sorted(wanted - WITHOUT_EFFECT.keys() - set(settings_with_tests())) == []
    assert sorted(set(settings_with_tests()) - wanted) == []
