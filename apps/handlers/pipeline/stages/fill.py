"""Stage `fill`: let event plugins fill `meta`."""

from dataclasses import replace

from apps.common.plugins.services import plugins
from apps.handlers.pipeline.run import Run


def fill(run: Run) -> Run:
    """Replace `meta` of each event by what the plugins of handlers return. A plugin that fails changes nothing."""
    if not plugins().fills_meta:
        return run
    filled = []
    for event in run.events:
        meta = plugins().meta_of(run.account_id, event.draft.facts())
        filled.append(event if meta is None else replace(event, draft=replace(event.draft, meta=meta)))
    return replace(run, events=tuple(filled))
