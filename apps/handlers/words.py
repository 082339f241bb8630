"""Policies of handlers and verifiers as words and tables for people. A page escapes the texts of clients."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from apps.accounts.adminbase.display import number_text
from apps.common.descriptors import Kind, versions
from apps.common.errors import LunaError
from apps.common.filters import Filters
from apps.common.filters.enums import Deepfake, Liveness, Mask, Number
from apps.common.filters.words import Names, filters_words
from apps.faces.filters import FACE_TERMS
from apps.handlers.policies import Policies
from apps.handlers.policies.callbacks import CallbackPolicy
from apps.handlers.policies.detect import FULL_MODE, DetectPolicy
from apps.handlers.policies.extract import ExtractPolicy
from apps.handlers.policies.match import MatchPolicy
from apps.handlers.policies.storage import StoragePolicy
from apps.handlers.policies.verifier import VerifierPolicies
from apps.matching.candidates import ATTRIBUTES, FACES
from apps.recognition.calibration import stated_fmr
from apps.recognition.request.build import MAX_ANGLE_DEGREES
from apps.recognition.types import MultifacePolicy
from apps.sender.targets import MqttTopic


@dataclass(frozen=True, slots=True)
class Section:
    """A part of policies: `facts` (name, text) and a table with `columns` and `rows`."""

    title: str
    facts: Sequence[tuple[str, str]] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def lists_of(policies: Policies) -> set[UUID]:
    """Return the ids of the lists that the policies name."""
    linked = {link.list_id for link in policies.storage_policy.face_policy.link_to_lists_policy}
    searched = {policy.candidates.filters.get("list_id") for policy in policies.match_policy}
    return linked | {list_id for list_id in searched if list_id is not None}


def policies_words(policies: Policies, *, names: Names) -> list[Section]:
    """Return the sections of a handler's policies. `names`: names of lists by id."""
    return [
        Section(_("Detection"), facts=list(_detection(policies.detect_policy))),
        Section(_("Extraction"), facts=list(_extraction(policies.extract_policy))),
        Section(
            _("Matching"),
            columns=(_("label"), _("searched"), _("results"), _("threshold"), _("only if")),
            rows=[_match(each, names) for each in policies.match_policy],
        ),
        Section(
            _("Tags"),
            columns=(_("tag"), _("only if")),
            rows=[(each.tag, _conditions(each.filters)) for each in policies.conditional_tags_policy],
        ),
        Section(
            _("Storage"),
            columns=(_("what"), _("stored"), _("kept for"), _("only if")),
            rows=list(_storage(policies.storage_policy)),
        ),
        Section(
            _("Lists of new faces"),
            columns=(_("list"), _("only if")),
            rows=[
                (names.get(each.list_id, str(each.list_id)), _conditions(each.filters))
                for each in policies.storage_policy.face_policy.link_to_lists_policy
            ],
        ),
        Section(
            _("Callbacks"),
            columns=(_("receiver"), _("enabled"), _("only if")),
            rows=[_callback(each) for each in policies.storage_policy.callbacks],
        ),
    ]


def verifier_words(policies: VerifierPolicies) -> list[Section]:
    """Return the sections of a verifier's policies."""
    storage = policies.storage_policy
    return [
        Section(_("Verification"), facts=[(_("verified above"), threshold_words(policies.verification_threshold))]),
        Section(_("Detection"), facts=list(_detection(policies.detect_policy, bodies=False))),
        Section(_("Extraction"), facts=list(_extraction(policies.extract_policy, bodies=False))),
        Section(
            _("Storage"),
            columns=(_("what"), _("stored"), _("kept for"), _("only if")),
            rows=[
                (_("face samples"), _yes(storage.face_sample_policy.store_sample),
                 _days(storage.face_sample_policy.ttl), _("always")),
                _attribute(storage),
            ],
        ),
    ]  # fmt: skip


def threshold_words(similarity: float, kind: Kind = "face") -> str:
    """Return a similarity with the false match rate that the calibration of the default version states."""
    return f"{similarity:g} ({rate_words(_stated(similarity, kind))})"


def rate_words(rate: float | None, *, at_most: bool = False) -> str:
    """Return a false match rate as words. `at_most`: it is an upper bound."""
    if rate is None:
        return _("false match rate not known")
    share = (_("at most one in %(number)s") if at_most else _("one in %(number)s")) % {
        "number": number_text(round(1 / rate))
    }
    return _("false matches: %(share)s comparisons of different people") % {"share": share}


def _stated(similarity: float, kind: Kind) -> float | None:
    try:
        return stated_fmr(versions.default(kind), similarity)
    except LunaError:  # no network of this kind is installed
        return None


def _yes(flag: object) -> str:
    return _("yes") if flag else _("no")


def _conditions(filters: Filters) -> str:
    return "; ".join(filters_words(filters)) or _("always")


def _words(numbers: type[Number], states: Sequence[int]) -> str:
    return ", ".join(_(numbers(state).word.replace("_", " ")) for state in states) or _("all")


def _days(ttl: int | None) -> str:
    if ttl is None:
        return _("as long as the bucket keeps it")
    return _("for ever") if ttl < 0 else _("%(count)d days") % {"count": ttl}


def _detection(policy: DetectPolicy, *, bodies: bool = True) -> Iterator[tuple[str, str]]:
    several = {
        MultifacePolicy.NOT_ALLOWED: _("a picture with several faces is rejected"),
        MultifacePolicy.ALL: _("all faces of a picture are used"),
        MultifacePolicy.BEST: _("the best face of a picture is used"),
    }
    if bodies:
        yield _("faces"), _yes(policy.detect_face)
        yield _("bodies"), _yes(policy.detect_body)
    yield _("several faces"), several[policy.multiface_policy]
    estimated = sorted(_(name.replace("_", " ")) for name in policy.estimators)
    yield _("estimated"), ", ".join(estimated) or _("nothing")
    if policy.extract_exif:
        yield _("EXIF"), _("in the answer")
    turned = [f"{_(name)} ≤ {limit:g}°" for name, limit in policy.angles.items() if limit < MAX_ANGLE_DEGREES]
    if turned:
        yield _("head pose"), ", ".join(turned)
    for name, numbers, states in (
        (_("accepted masks"), Mask, policy.mask_states),
        (_("accepted liveness"), Liveness, policy.estimate_liveness.liveness_states),
        (_("accepted deepfake"), Deepfake, policy.estimate_deepfake.deepfake_states),
    ):
        if states:
            yield name, _words(numbers, states)
    yield from _thresholds(policy)
    if policy.face_quality.estimate:
        checks = ", ".join(_(name.replace("_", " ")) for name in policy.face_quality.thresholds)
        sentence = _("a face that fails is rejected: %(checks)s") if policy.face_quality.filter else "%(checks)s"
        yield _("checks of quality"), sentence % {"checks": checks}


def _thresholds(policy: DetectPolicy) -> Iterator[tuple[str, str]]:
    for name, threshold in (
        (_("liveness threshold"), policy.estimate_liveness.liveness_threshold),
        (_("threshold of quality for liveness"), policy.estimate_liveness.quality_threshold),
        (_("deepfake threshold"), policy.estimate_deepfake.real_threshold),
    ):
        if threshold is not None:
            yield name, f"{threshold:g}"
    if policy.estimate_deepfake.estimate and policy.estimate_deepfake.mode != FULL_MODE:
        yield _("deepfake"), _("without the preliminary network")


def _extraction(policy: ExtractPolicy, *, bodies: bool = True) -> Iterator[tuple[str, str]]:
    if bodies:
        yield _("descriptor of the face"), _yes(policy.extract_face_descriptor)
        yield _("descriptor of the body"), _yes(policy.extract_body_descriptor)
    yield _("gender, age, ethnic group"), _yes(policy.extract_basic_attributes)
    if policy.fd_score_threshold > 0:
        yield _("least score of a descriptor"), f"{policy.fd_score_threshold:g}"


def _match(policy: MatchPolicy, names: Names) -> Sequence[str]:
    wanted = policy.candidates
    if wanted.origin == ATTRIBUTES:
        searched = _("%(count)d temporary attributes") % {"count": len(wanted.attribute_ids)}
    else:
        kind = _("faces") if wanted.origin == FACES else _("events")
        filters = filters_words(wanted.filters, FACE_TERMS, names=names) if wanted.origin == FACES else filters_words(
            wanted.filters
        )  # fmt: skip
        searched = f"{kind}: {'; '.join(filters)}" if filters else _("all %(kind)s") % {"kind": kind}
    if wanted.account_id is not None:
        searched += " ({} {})".format(_("account"), wanted.account_id)
    return (
        policy.label,
        searched,
        _("%(count)d most similar (%(descriptor)s)") % {"count": policy.limit, "descriptor": policy.descriptor},
        threshold_words(policy.threshold, "body" if policy.descriptor == "body" else "face"),
        _conditions(policy.filters),
    )


def _storage(policy: StoragePolicy) -> Iterator[Sequence[str]]:
    for name, samples in (
        (_("face samples"), policy.face_sample_policy),
        (_("body samples"), policy.body_sample_policy),
    ):
        yield name, _yes(samples.store_sample), _days(samples.ttl), _conditions(samples.filters)
    origins = policy.image_origin_policy
    yield (
        _("source images (%(form)s)") % {"form": origins.image_format},
        _yes(origins.store_image),
        _days(origins.ttl),
        _conditions(origins.filters),
    )
    yield _attribute(policy)
    faces, events, notified = policy.face_policy, policy.event_policy, policy.notification_policy
    yield _("faces"), _yes(faces.store_face), _("until deleted"), _conditions(faces.filters)
    saved = _yes(events.store_event) if events.wait_saving else _("yes, after the answer")
    yield _("events"), saved if events.store_event else _("no"), _("until deleted"), _conditions(events.filters)
    yield _("notifications of websockets"), _yes(notified.send_notification), "—", _conditions(notified.filters)


def _attribute(policy: StoragePolicy) -> Sequence[str]:
    attributes = policy.attribute_policy
    kept = _("the default time") if attributes.ttl is None else _("%(count)d s") % {"count": attributes.ttl}
    return _("temporary attributes"), _yes(attributes.store_attribute), kept, _conditions(attributes.filters)


def _callback(policy: CallbackPolicy) -> Sequence[str]:
    if policy.target is None:
        receiver = _("websockets")
    else:
        receiver = f"{'MQTT' if isinstance(policy.target, MqttTopic) else 'HTTP'}: {policy.target.place}"
    return receiver, _yes(policy.enable), _conditions(policy.filters)
