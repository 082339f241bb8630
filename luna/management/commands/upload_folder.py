"""`manage.py upload_folder`: create faces of the photographs of a folder, over the HTTP API."""

import os
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.accounts.auth.bearer import token_encode
from apps.accounts.auth.permissions import CREATION, DELETION, MODIFICATION, VIEW
from apps.accounts.auth.principal import Principal
from apps.accounts.models import Account, Token
from apps.accounts.services import token_create, token_delete
from apps.common.config import ExternalAddress, config
from apps.common.fields import parse_uuid
from apps.common.times import utc_now
from luna.embedded.addresses import var_dir
from luna.embedded.supervisor import read_state
from luna.upload.journal import Journal
from luna.upload.uploader import ALL, NOT_ALLOWED, Api, Plan, RefusedError, Uploader, UploadError, images

TOKEN_LIFETIME = timedelta(days=7)
RIGHTS = {
    "face": [CREATION],
    "face_sample": [CREATION, DELETION],
    "attribute": [CREATION, VIEW],
    "list": [CREATION, VIEW, MODIFICATION],
}
MAX_CONCURRENCY = 100


class Command(BaseCommand):
    help = "Create faces of the photographs of a folder, over the HTTP API of this platform or of another one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--source", type=Path, required=True, help="folder with the images")
        parser.add_argument("--warped", type=_flag, required=True, help="whether the images are face warps (0, 1)")
        parser.add_argument(
            "--account_id",
            help="account of the faces. On this platform, the command creates a token of the account, and deletes it "
            "at the end. Another platform gets the header `Luna-Account-Id` if there is no token",
        )
        parser.add_argument(
            "--token-file", type=Path, help="file with a token (default: the environment variable LUNA_TOKEN)"
        )
        parser.add_argument("--descriptor", type=_flag, default=False, help="whether to extract descriptors (0, 1)")
        parser.add_argument("--origin", default=_own_addresses()[0], help="the platform (default: %(default)s)")
        parser.add_argument("--avatar", type=_flag, default=False, help="whether samples become avatars (0, 1)")
        parser.add_argument("--list_id", help="list of the faces (default: a new list)")
        parser.add_argument("--list_linked", type=_flag, default=True, help="whether faces are linked to a list (0, 1)")
        parser.add_argument("--list_userdata", default="", help="user data of the new list")
        for angle in ("pitch", "roll", "yaw"):
            parser.add_argument(
                f"--{angle}_threshold", type=_angle, help=f"largest {angle} of a face, degrees (0..180)"
            )
        parser.add_argument(
            "--multi_face_allowed", type=_flag, default=False, help="whether an image may have several faces (0, 1)"
        )
        parser.add_argument(
            "--get_major_detection",
            type=_flag,
            default=False,
            help="whether only the largest face of an image counts: by width and height of its rectangle (0, 1)",
        )
        parser.add_argument("--basic_attr", type=_flag, default=True, help="whether to extract basic attributes (0, 1)")
        parser.add_argument("--score_threshold", type=_score, default=0.0, help="least score of a descriptor (0..1)")
        parser.add_argument(
            "--name_as_userdata", type=_flag, default=False, help="whether names of images become user data (0, 1)"
        )
        parser.add_argument("--concurrency", type=_concurrency, default=10, help="images at a time (default: 10)")
        parser.add_argument("--recursive", action="store_true", help="upload the images of all subfolders, too")
        parser.add_argument("--logs", type=Path, default=Path(), help="folder of the log files (default: this one)")
        parser.add_argument(
            "--resume", metavar="START", help="continue the upload whose log files begin with START (see its output)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit with 1 if an image failed. Images that failed are uploaded again by `--resume`."""
        source = options["source"]
        try:
            names = images(source, recursive=options["recursive"])
        except OSError as error:
            raise CommandError(f"`--source`: {error}") from error
        if not names:
            raise CommandError(f"{source} contains no image.")
        with self._journal(options) as journal, _credentials(options, journal) as headers:
            api = Api(options["origin"], headers, options["concurrency"])
            try:
                failed = self._upload(api, journal, names, options)
            except UploadError as error:
                raise CommandError(f"{error}. `--resume {journal.start}` continues the upload.") from error
            finally:
                api.close()
        if failed:
            raise CommandError(
                f"{failed:,} of {len(names):,} images failed: {journal.path('error_log.txt')}. "
                f"`--resume {journal.start}` tries them again."
            )
        self.stdout.write(self.style.SUCCESS(f"{len(names):,} images: {journal.path('success_log.txt')}"))

    def _journal(self, options: Mapping[str, Any]) -> Journal:
        if not options["resume"]:
            try:
                return Journal.create(options["logs"])
            except OSError as error:
                raise CommandError(f"`--logs`: {error}") from error
        journal = Journal(options["logs"], options["resume"])
        try:
            source, _ = journal.head()
        except (OSError, ValueError) as error:
            raise CommandError(f"`--resume`: {error}") from error
        if source != options["source"].resolve():
            raise CommandError(f"`--resume`: that upload was of the folder {source}.")
        return journal

    def _upload(self, api: Api, journal: Journal, names: list[str], options: Mapping[str, Any]) -> int:
        """Upload the images that are not loaded yet, and return how many failed. Raises UploadError."""
        source: Path = options["source"].resolve()
        list_id = journal.head()[1] if options["resume"] else self._list(api, options)
        if not options["resume"]:
            journal.opened(source=source, list_id=list_id)
        self.stdout.write(f"Log files: {journal.path('*')}, list: {list_id}")
        uploader = Uploader(api, _plan(options, list_id), journal, source)
        done, unfinished = journal.done(), journal.unfinished()
        waiting = [name for name in names if name not in done]
        failed = 0
        with (
            ThreadPoolExecutor(options["concurrency"]) as pool,
            tqdm(total=len(names), initial=len(names) - len(waiting), unit="image", disable=None) as bar,
        ):
            running: set[Future[None]] = set()
            try:
                for name in [*waiting, None]:  # None: all are submitted
                    if name is not None:
                        begun = unfinished.get(name)
                        job = partial(uploader.repeat, begun) if begun else partial(uploader.upload, name)
                        running.add(pool.submit(job))
                    while running and (name is None or len(running) >= 2 * options["concurrency"]):
                        finished, problems = _settle(running)
                        failed += problems
                        bar.update(finished)
                        bar.set_postfix(failed=failed)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return failed

    def _list(self, api: Api, options: Mapping[str, Any]) -> str | None:
        if not options["list_linked"]:
            return None
        if options["list_id"]:
            list_id = parse_uuid(options["list_id"])
            if list_id is None:
                raise CommandError(f"`--list_id` must be a UUID, got {options['list_id']!r}.")
            api.call("GET", f"lists/{list_id}")
            return str(list_id)
        created: str = api.call("POST", "lists", json={"user_data": options["list_userdata"]})["list_id"]
        return created


def _settle(running: "set[Future[None]]") -> tuple[int, int]:
    """Wait for an image; return how many images are finished, and how many of them failed. Raises RefusedError."""
    finished, _ = wait(running, return_when=FIRST_COMPLETED)
    running -= finished
    problems = [error for each in finished if (error := each.exception()) is not None]
    for error in problems:
        if isinstance(error, RefusedError) or not isinstance(error, UploadError):
            raise error
    return len(finished), len(problems)


def _plan(options: Mapping[str, Any], list_id: str | None) -> Plan:
    several = options["multi_face_allowed"] or options["get_major_detection"]
    angles = (f"{angle}_threshold" for angle in ("pitch", "roll", "yaw"))
    return Plan(
        params={
            "image_type": int(options["warped"]),
            "multiface_policy": ALL if several else NOT_ALLOWED,
            **{name: options[name] for name in angles if options[name] is not None},
        },
        descriptor=options["descriptor"],
        basic_attributes=options["basic_attr"],
        score_threshold=options["score_threshold"],
        avatar=options["avatar"],
        major_face=options["get_major_detection"],
        name_as_user_data=options["name_as_userdata"],
        list_id=list_id,
    )


def _own_addresses() -> list[str]:
    """Return the addresses of this platform: where its processes listen, if they run, and the external one."""
    state = read_state(var_dir())
    return [*([state.url] if state.running else []), config(ExternalAddress).origin]


@contextmanager
def _credentials(options: Mapping[str, Any], journal: Journal) -> Iterator[dict[str, str]]:
    """Yield the headers that prove the account. Raises CommandError.

    A killed upload leaves its token. The next one uses it again, because kept responses need the same credentials.
    """
    if token := _given_token(options):
        yield {"Authorization": f"Bearer {token}"}
        return
    if not options["account_id"]:
        raise CommandError("`--account_id`, `--token-file` or the environment variable LUNA_TOKEN is required.")
    account_id = parse_uuid(options["account_id"])
    if account_id is None:
        raise CommandError(f"`--account_id` must be a UUID, got {options['account_id']!r}.")
    if options["origin"].rstrip("/") not in _own_addresses():
        yield {"Luna-Account-Id": str(account_id)}
        return
    account = Account.objects.filter(account_id=account_id, is_active=True).first()
    if account is None:
        raise CommandError(f"Account {account_id} does not exist.")
    token_id = journal.token_id()
    if token_id is None or not Token.objects.for_account(account_id).filter(token_id=token_id).exists():
        token_id = _new_token(account)
        journal.token_created(token_id)
    try:
        yield {"Authorization": f"Bearer {token_encode(account_id=account_id, token_id=token_id)}"}
    finally:
        token_delete(account_id=account_id, token_id=token_id)


def _new_token(account: Account) -> UUID:
    principal = Principal(account.account_id, account.account_type, account.login, password_hash=account.password)
    issued = token_create(
        principal=principal,
        permissions=RIGHTS,
        description="upload_folder",
        expiration_time=utc_now() + TOKEN_LIFETIME,
    )
    return issued.token.token_id


def _given_token(options: Mapping[str, Any]) -> str | None:
    if options["token_file"] is None:
        return os.environ.get("LUNA_TOKEN")
    try:
        return str(options["token_file"].read_text().strip())
    except OSError as error:
        raise CommandError(f"`--token-file`: {error}") from error


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ArgumentTypeError(f"must be 0 or 1, got {text!r}")
    return text == "1"


def _number(text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ArgumentTypeError(f"must be {least:g} to {most:g}, got {text!r}")
    return value


def _angle(text: str) -> float:
    return _number(text, 0, 180)


def _score(text: str) -> float:
    return _number(text, 0, 1)


def _concurrency(text: str) -> int:
    return int(_number(text, 1, MAX_CONCURRENCY))
