"""Live settings of the Configurator."""

from datetime import timedelta

from apps.common.times import utc_now
from apps.configurator.choices import Kind
from apps.configurator.jobs import clean_up
from apps.configurator.models import Change
from tests.unit.live.conftest import Store
from tests.unit.live.table import live


@live("LUNA_SETTINGS_HISTORY.retention_days")
def test_retention_of_changes(store: Store, db: None) -> None:
    for days in (8, 400):
        Change.objects.create(time=utc_now() - timedelta(days=days), kind=Kind.GROUP, name="desk", key="desk")
    for kept, left in ((0, 2), (365, 1), (9, 1), (7, 0)):
        store("LUNA_SETTINGS_HISTORY", retention_days=kept)
        clean_up()
        assert Change.objects.filter(key="desk").count() == left  # `store` makes changes as well
