"""Estimator: event generation for the pictures of an archive, a bucket, a directory or a file server."""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any, ClassVar
from uuid import NAMESPACE_OID, UUID, uuid5

from django.db import connections
from rest_framework import serializers
from rest_framework.fields import empty

from apps.accounts.auth.principal import Principal
from apps.accounts.selectors import account_get
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import UUIDField, account_field
from apps.common.scope import Scope
from apps.common.validation import StrictSerializer
from apps.handlers.choices import HandlerType
from apps.handlers.pipeline.generate import events_recognise, events_store, policies_licensed
from apps.handlers.pipeline.run import Run
from apps.handlers.policies import Policies, PoliciesSerializer, policies_parse
from apps.handlers.selectors import handler_exists, handler_get, policies_of
from apps.handlers.services import HandlerDraft, handler_check, handler_create
from apps.handlers.shapes import GenerationJson, generation_body
from apps.licenses.services import charged_once
from apps.recognition.inputs.types import MAX_ORIGIN_CHARACTERS, Details, Inputs, Picture
from apps.recognition.run.share import yielding
from apps.recognition.types import ImageInput, ImageType
from apps.tasks.choices import TaskKind
from apps.tasks.filters import scope_narrowed
from apps.tasks.outputs import output_add, output_bytes
from apps.tasks.results import results_are_stored
from apps.tasks.sources.base import Source, name_at, position, shown
from apps.tasks.sources.content import DISK, SECRETS, ZIP, PictureSourceSerializer, source_of
from apps.tasks.sources.disk import check_path
from apps.tasks.sources.reading import Reader, waited
from apps.tasks.types.base import Needs, Part, Result, SubtaskRun, TaskRun, TaskType

# Pictures of one transaction, and their bytes. Two batches are recognised while a third one is stored.
BATCH_PICTURES = 16
BATCH_BYTES = 32 * 1024**2
BATCHES_AT_ONCE = 2
BUSY, BUSY_S = 503, 1.0  # status of a full queue of the engine, and time until the next try
CALLBACKS = ("handler", "policies", "storage_policy", "callbacks", "*")
INFO_CHARACTERS = 128


class GivenPoliciesField(PoliciesSerializer):
    """Policies that are validated and returned as the client sent them; `policies_of` parses them."""

    def run_validation(self, data: Any = empty) -> Any:
        super().run_validation(data)
        return data


class EstimatorHandlerSerializer(StrictSerializer):
    """A static handler by its id, a dynamic handler by its id with policies, or policies of a new static handler."""

    handler_id = UUIDField(required=False)
    policies = GivenPoliciesField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError({"handler_id": "This field is required, or `policies`."})
        return attrs


class EstimatorContent(StrictSerializer):
    example = {
        "source": {"source_type": "zip", "reference": "https://example.com/people.zip", "postfix": ".jpg"},
        "handler": {"handler_id": "3b5a1d6c-2f57-4d2b-9b7f-0c9f1b2a3c4d"},
    }
    source = PictureSourceSerializer()  # type: ignore[assignment]  # DRF takes it out
    handler = EstimatorHandlerSerializer()
    account_id = account_field()


@dataclass(slots=True)
class _Batch:
    """Files up to `last`, with the pictures of those that could be read and the errors of the others, by name."""

    last: str = ""
    pictures: list[Picture] = field(default_factory=list)
    failed: list[tuple[str, LunaError]] = field(default_factory=list)
    size_bytes: int = 0

    @property
    def files(self) -> int:
        return len(self.pictures) + len(self.failed)

    @property
    def is_full(self) -> bool:
        return self.files >= BATCH_PICTURES or self.size_bytes >= BATCH_BYTES


class Estimator(TaskType):
    """Results are the answers of event generation, one for each picture. Files without a picture are errors."""

    name = "estimator"
    number = TaskKind.ESTIMATOR
    Content = EstimatorContent
    needs = Needs(image_store=False, handlers=True)
    secrets: ClassVar[tuple[tuple[str, ...], ...]] = (
        *(("source", *path) for path in SECRETS),
        (*CALLBACKS, "authorization", "login"),
        (*CALLBACKS, "authorization", "password"),
        (*CALLBACKS, "params", "secret"),
        (*CALLBACKS, "params", "headers", "*"),
    )

    def check(self, content: Any, *, scope: Scope, scheduled: bool) -> None:
        """Check the handler and the place.

        Raises LunaError HANDLER_NOT_FOUND, the errors of `policies_of`, `handler_check` and `policies_licensed`,
        NETWORK_DISK_UNAVAILABLE for a directory that is not allowed, INVALID_JSON for an archive in a schedule and for
        a task of all accounts.
        """
        account_id = _account_id(content, scope)
        source, handler = content["source"], content["handler"]
        if scheduled and source["source_type"] == ZIP:
            raise LunaError(errors.INVALID_JSON, "A schedule cannot read archives. Path: 'content.source.source_type'")
        if source["source_type"] == DISK:
            check_path(source["path"])
        if "handler_id" in handler:
            stored = handler_get(scope=Scope(account_id), handler_id=handler["handler_id"])
            policies = policies_of(stored, handler.get("policies"))
        else:
            handler_check(principal=_principal(account_id), draft=_draft(handler["policies"]))
            policies = policies_parse(handler["policies"])
        policies_licensed(policies)

    def split(self, run: TaskRun) -> Iterator[Part]:
        """Create the handler of given policies, with an id of its own for each task, and yield one subtask."""
        account_id = _account_id(run.content, run.scope)
        handler = run.content["handler"]
        if "handler_id" in handler:
            yield Part()
            return
        handler_id = uuid5(NAMESPACE_OID, f"{run.task_id} {run.create_time.isoformat()} {account_id}")
        if not handler_exists(scope=Scope(account_id), handler_id=handler_id):
            handler_create(
                principal=_principal(account_id),
                draft=replace(_draft(handler["policies"]), description=f"task {run.task_id}"),
                actor=run.actor,
                handler_id=handler_id,
            )
        yield Part(content={"handler_id": str(handler_id)})

    def process(self, run: SubtaskRun) -> Result:
        """Raises LunaError HANDLER_NOT_FOUND for a deleted handler, the errors of sources and of event generation."""
        if not run.state.get("is_whole"):
            _estimate(run)
        run.progress(run.state["done"], run.state["done"])  # also after a death behind the last checkpoint
        return output_bytes(subtask_id=run.subtask_id) if results_are_stored() else None


def _estimate(run: SubtaskRun) -> None:
    """Generate the events of all files after the last checkpoint."""
    template = _template(run)
    after, done = name_at(run.state.get("after", "")), int(run.state.get("done", 0))
    source = source_of(
        run.content["source"], scope=Scope(template.account_id), actor=run.actor, directory=run.directory
    )
    recognising = ThreadPoolExecutor(BATCHES_AT_ONCE, thread_name_prefix="luna-estimator", initializer=yielding)
    running: deque[tuple[_Batch, Future[Run]]] = deque()
    with source, Reader(source, run.check) as reader:
        try:
            reader.open()
            for batch in _batches(source, reader, after, ImageType(run.content["source"]["image_type"])):
                running.append(
                    (batch, recognising.submit(_recognised, template, batch, run.subtask_id, reader.stopped))
                )
                run.progress(done, done + sum(each.files for each, _ in running) + reader.listed)
                if len(running) > BATCHES_AT_ONCE:
                    done = _stored(run, *running.popleft(), done=done)
            while running:
                done = _stored(run, *running.popleft(), done=done)
        finally:  # recognition that still runs after an error writes nothing
            recognising.shutdown(wait=False, cancel_futures=True)
    with run.checkpoint({"is_whole": True, "done": done}, parts_done=done):
        pass


def _template(run: SubtaskRun) -> Run:
    """Return a run without pictures: the account, the handler and its policies."""
    account_id = _account_id(run.content, run.scope)
    handler = run.content["handler"]
    created = run.part.get("handler_id")
    handler_id = UUID(created) if created else handler["handler_id"]
    stored = handler_get(scope=Scope(account_id), handler_id=handler_id)
    policies = policies_of(stored, None if created else handler.get("policies"))
    return Run(principal=_principal(account_id), policies=_waiting(policies), handler_id=handler_id)


def _waiting(policies: Policies) -> Policies:
    """Return policies whose events are stored by the transaction of their checkpoint, not later from a queue."""
    storage = policies.storage_policy
    return replace(
        policies, storage_policy=replace(storage, event_policy=replace(storage.event_policy, wait_saving=True))
    )


def _batches(source: Source, reader: Reader, after: str, image_type: ImageType) -> Iterator[_Batch]:
    """Yield the files after a name in batches."""
    batch = _Batch()
    for entry, data in reader.files(after):
        name = batch.last = entry.name
        if isinstance(data, LunaError):
            batch.failed.append((shown(name), data))
        else:
            origin = source.origin(name)
            details = Details(image_origin=origin if origin and len(origin) <= MAX_ORIGIN_CHARACTERS else None)
            image = ImageInput(data, shown(name), image_type)
            batch.pictures.append(Picture(image=image, details=details))
            batch.size_bytes += len(data)
        if batch.is_full:
            yield batch
            batch = _Batch()
    if batch.files:
        yield batch


def _recognised(template: Run, batch: _Batch, subtask_id: int, stopped: Event) -> Run:
    """Recognise a batch, in a thread of its own. An engine with a full queue is tried again until `stopped`.

    A batch that is repeated after a crash consumes the licence once.
    """
    key = f"subtask {subtask_id}: {batch.files} files up to {batch.last}"
    try:
        while True:
            try:
                with charged_once(key):
                    return events_recognise(replace(template, inputs=Inputs(pictures=tuple(batch.pictures))))
            except LunaError as error:
                if error.status != BUSY or stopped.wait(BUSY_S):
                    raise
    finally:
        connections.close_all()  # of this thread


def _stored(run: SubtaskRun, batch: _Batch, recognised: "Future[Run]", *, done: int) -> int:
    """Store the events of a batch together with the checkpoint behind it. Return the number of files so far."""
    screened = waited(recognised, run.check)
    done += batch.files
    for name, error in batch.failed:
        run.error(error, info=_info(name))
    for result in screened.results:
        if result.error is not None:
            run.error(result.error, info=_info(result.filename))

    def output(stored: Run) -> None:
        if results_are_stored():
            output_add(subtask_id=run.subtask_id, items=_answers(stored))

    state = {"after": position(batch.last), "done": done}
    events_store(screened, within=run.checkpoint(state, parts_done=done), also=output)
    return done


def _answers(stored: Run) -> Iterator[GenerationJson]:
    """Yield what event generation answers for each picture alone, except for pictures with an error."""
    for number, picture in enumerate(stored.pictures):
        if picture.result.error is None:
            events = tuple(
                event for event in stored.events if any(each.picture is picture.picture for each in event.persons)
            )
            inputs = replace(stored.inputs, pictures=stored.inputs.pictures[number : number + 1])
            yield generation_body(replace(stored, inputs=inputs, pictures=(picture,), events=events))


def _account_id(content: Mapping[str, Any], scope: Scope) -> UUID:
    """Return the account of the events.

    Raises LunaError FOREIGN_ACCOUNT_ID for an account outside the scope, INVALID_JSON for none.
    """
    account_id = scope_narrowed(scope, [content.get("account_id")]).account_id
    if account_id is None:
        raise LunaError(errors.INVALID_JSON, "Events need an account. Path: 'content.account_id'")
    return account_id


def _principal(account_id: UUID) -> Principal:
    """Return the account as the client of its task: it sees its own data."""
    account = account_get(account_id)
    return Principal(account_id=account_id, account_type=account.account_type, login=account.login)


def _draft(policies: Any) -> HandlerDraft:
    return HandlerDraft(handler_type=HandlerType.STATIC, policies=policies)


def _info(name: str) -> str:
    """Return the end of a name, which identifies a file best."""
    return name[-INFO_CHARACTERS:]


TYPE = Estimator()
