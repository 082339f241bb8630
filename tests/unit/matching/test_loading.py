"""Plugins of files and entry points, and which of them are in use."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from apps.common.config import AdditionalServices, Directories
from apps.common.plugins.loading import PluginError
from apps.matching.config import MatcherProxy
from apps.matching.plugins.contract import Hit, MatchingPlugin, SubRequest
from apps.matching.plugins.loading import MATCHING_PLUGINS, plugins_check
from apps.matching.plugins.router import Plugins
from apps.matching.plugins.runner import Runner

pytestmark = pytest.mark.django_db

PLUGIN = """
from apps.matching.plugins.contract import MatchingPlugin
class Mine(MatchingPlugin):
    targets = frozenset({"face_id"})
    closed = False
    def cost(self, request): return 5.0
    def search(self, request): return [[] for _ in request.vectors]
    def close(self): type(self).closed = True
"""


class Idle(MatchingPlugin):
    """Finds nothing."""

    targets = frozenset({"face_id"})

    def cost(self, request: SubRequest) -> float:
        return 5.0

    def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        return [[] for _ in request.vectors]


@pytest.fixture
def directory(tmp_path: Path, configure: Callable[..., None]) -> Path:
    configure(Directories, var=tmp_path)
    made = tmp_path / "plugins" / "matching"
    made.mkdir(parents=True)
    return made


def test_active_files_are_loaded_and_closed(
    directory: Path, configure: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    (directory / "mine.py").write_text(PLUGIN)
    (directory / "damaged.py").write_text("def (")
    (directory / "empty.py").write_text("")
    (directory / "inactive.py").write_text("raise SystemExit('must not run')")
    configure(MatcherProxy, active_plugins=("mine", "damaged", "empty", "absent"))
    loaded = Plugins.loaded()
    assert [each.name for each in loaded.active] == ["mine"]
    assert loaded.active[0].ready(timeout_s=5)
    assert [name for name in ("damaged", "empty", "absent", "inactive") if name in caplog.text] == [
        "damaged",
        "empty",
        "absent",
    ]
    assert loaded.status()["mine_ready"] is True
    loaded.close()
    assert type(loaded.active[0].plugin).closed  # type: ignore[attr-defined]
    (problem,) = plugins_check(None)
    assert "absent" in problem.msg


def test_entry_points_are_loaded(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        def load(self) -> type[MatchingPlugin]:
            return Idle

    from apps.common.plugins import loading

    monkeypatch.setattr(loading, "entry_points", lambda group, name: [Entry()] if name == "theirs" else [])
    assert [(name, type(plugin)) for name, plugin in MATCHING_PLUGINS.load(["theirs"])] == [("theirs", Idle)]
    with pytest.raises(PluginError, match="others"):
        MATCHING_PLUGINS.make("others")


def test_the_proxy_can_be_switched_off(configure: Callable[..., None]) -> None:
    one, other = Runner("a", Idle()), Runner("b", Idle())
    plugins = Plugins([one], [other])
    assert plugins.used() == (one, other)
    configure(AdditionalServices, luna_matcher_proxy=False)
    assert plugins.used() == (one,)


@pytest.mark.parametrize(
    ("active", "proxy", "name"),
    [
        ((), True, "luna-python-matcher"),
        (("mine",), True, "luna-matcher-proxy"),
        (("mine",), False, "luna-python-matcher"),
    ],
)
def test_the_version_names_the_matcher_in_use(
    client: object, configure: Callable[..., None], active: tuple[str, ...], proxy: bool, name: str
) -> None:
    configure(MatcherProxy, active_plugins=active)
    configure(AdditionalServices, luna_matcher_proxy=proxy)
    found = client.get("/version").json()  # type: ignore[attr-defined]
    assert {"luna-python-matcher", "luna-matcher-proxy"} & found.keys() == {name}
