import tracemalloc
from collections.abc import Callable
from uuid import UUID, uuid4

import numpy as np
import pytest
from pytest_django import DjangoAssertNumQueries

from apps.common.errors import LunaError
from apps.common.filters import Filters
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.faces import inserts, links, selectors, services
from apps.faces.models import Face, FaceAttribute, FaceDescriptor, List, ListDeletion, ListFace, ListUnlink
from apps.faces.types import AttributeData, BasicData, FaceDraft
from tests.unit.faces.helpers import VERSION, attribute_data, unit_vector


def links_of(list_id: UUID) -> list[tuple[UUID, int]]:
    return list(
        ListFace.objects.filter(list__list_id=list_id).order_by("link_key").values_list("face__face_id", "link_key")
    )


def keys_of(account: UUID, list_id: UUID) -> tuple[int, int]:
    row = List.objects.for_account(account).get(list_id=list_id)
    return row.link_key, row.unlink_key


def test_a_face_has_all_that_it_was_given(account: UUID) -> None:
    first, second = (services.list_create(account_id=account, user_data=name).list_id for name in ("a", "b"))
    samples = (uuid4(), uuid4())
    event_id, attribute_id = uuid4(), uuid4()
    data = AttributeData(
        attribute_data(3, 77, 78).descriptors, BasicData(20, 1, None), descriptor_samples=samples, basic_samples=samples
    )
    made = services.face_create(
        account_id=account,
        draft=FaceDraft(
            external_id="e",
            user_data="u",
            avatar="https://example.com/a.jpg",
            event_id=event_id,
            lists=[first, second, first],
            attribute=data,
            attribute_id=attribute_id,
        ),
    )
    face = selectors.face_get(scope=Scope(account), face_id=made.face_id)
    assert (face.external_id, face.user_data, face.avatar) == ("e", "u", "https://example.com/a.jpg")
    assert face.event_id == event_id
    assert face.lists == [first, second]
    attribute = selectors.face_attribute_get(scope=Scope(account), face_id=made.face_id)
    assert (attribute.age, attribute.gender, attribute.ethnicity) == (20, 1, None)
    assert tuple(attribute.descriptor_samples) == tuple(attribute.basic_attributes_samples) == samples
    assert attribute.attribute_id == attribute_id
    for version in (77, 78):
        row = made.descriptors.get(version=version)
        np.testing.assert_array_equal(np.asarray(row.vector, np.float32), unit_vector(3))


@pytest.mark.parametrize("order", [1, -1])
def test_lists_of_a_new_face_come_in_the_order_given(account: UUID, order: int) -> None:
    lists = [services.list_create(account_id=account).list_id for _ in range(8)][::order]
    face = services.face_create(account_id=account, draft=FaceDraft(lists=lists))
    assert selectors.face_get(scope=Scope(account), face_id=face.face_id).lists == lists


@pytest.mark.django_db(transaction=True)
def test_faces_of_several_statements_are_created_all_or_none(account: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inserts, "BATCH", 2)
    monkeypatch.setattr(services, "BATCH", 2)
    drafts = [FaceDraft(external_id=f"e{n}", attribute=attribute_data(n)) for n in range(3)]
    made = services.faces_create(account_id=account, drafts=drafts)
    for number, face in enumerate(made):
        assert Face.objects.unscoped().get(face_id=face.face_id).external_id == f"e{number}"
        vector = face.descriptors.get(version=VERSION).vector
        np.testing.assert_array_equal(np.asarray(vector, np.float32), unit_vector(number))
    taken = FaceDraft(attribute=attribute_data(9), attribute_id=uuid4())
    services.face_create(account_id=account, draft=taken)
    with pytest.raises(LunaError):
        services.faces_create(account_id=account, drafts=[*drafts, taken])
    assert Face.objects.unscoped().count() == 4


def test_many_faces_cost_as_many_queries_as_one(
    account: UUID, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    list_id = services.list_create(account_id=account).list_id
    for count in (1, 20):
        drafts = [FaceDraft(attribute=attribute_data(n), lists=(list_id,)) for n in range(count)]
        with django_assert_num_queries(5):
            services.faces_create(account_id=account, drafts=drafts)
    assert keys_of(account, list_id) == (21, 0)


def test_nothing_is_made_when_a_list_is_unknown(account: UUID, stranger: UUID) -> None:
    mine = services.list_create(account_id=account).list_id
    for foreign in (uuid4(), services.list_create(account_id=stranger).list_id):
        with pytest.raises(LunaError) as caught:
            services.face_create(account_id=account, draft=FaceDraft(lists=[mine, foreign], attribute=attribute_data()))
        assert caught.value.code == 22005
        assert str(foreign) in caught.value.detail
    assert not Face.objects.unscoped().exists()
    assert keys_of(account, mine) == (0, 0)


def test_an_attribute_serves_one_face(account: UUID) -> None:
    attribute_id = uuid4()
    services.face_create(account_id=account, draft=FaceDraft(attribute=attribute_data(), attribute_id=attribute_id))
    with pytest.raises(LunaError) as caught:
        services.face_create(account_id=account, draft=FaceDraft(attribute=attribute_data(), attribute_id=attribute_id))
    assert caught.value.code == 22001
    assert Face.objects.for_account(account).count() == 1


@pytest.mark.parametrize(
    "avatar",
    [
        "a picture",
        "ftp://host/a",
        "/etc/passwd",
        "http://",
        "https://h/" + "a" * 247,
        "https://h/\n",
        "//h/a",
        "http://:80/a",
        "http://h:99999/a",
        "http://h:x/a",
        "http://[::1",
        "/6/../admin/",
        "data:image/png,a",
    ],
)
def test_an_avatar_is_a_url(account: UUID, avatar: str) -> None:
    with pytest.raises(LunaError) as caught:
        services.face_create(account_id=account, draft=FaceDraft(avatar=avatar))
    assert caught.value.code == 22009


@pytest.mark.parametrize("avatar", ["", None, "/6/samples/faces/x", "http://h/a", "https://h/" + "a" * 246])
def test_good_avatars(account: UUID, avatar: str | None) -> None:
    assert services.face_create(account_id=account, draft=FaceDraft(avatar=avatar)).avatar == (avatar or "")


def test_link_and_unlink_keys_have_no_gaps(account: UUID) -> None:
    list_id = services.list_create(account_id=account).list_id
    faces = [services.face_create(account_id=account, draft=FaceDraft()).face_id for _ in range(5)]
    services.list_attach_faces(account_id=account, list_id=list_id, face_ids=[faces[2], faces[0], faces[2]])
    services.list_attach_faces(account_id=account, list_id=list_id, face_ids=faces)
    assert links_of(list_id) == list(zip([faces[n] for n in (2, 0, 1, 3, 4)], (1, 2, 3, 4, 5), strict=True))
    services.list_detach_faces(account_id=account, list_id=list_id, face_ids=[faces[0], faces[3]])
    services.list_detach_faces(account_id=account, list_id=list_id, face_ids=[faces[0]])
    services.face_delete(account_id=account, face_id=faces[1])
    services.list_attach_faces(account_id=account, list_id=list_id, face_ids=[faces[0]])
    assert links_of(list_id) == [(faces[2], 1), (faces[4], 5), (faces[0], 6)]
    log = ListUnlink.objects.order_by("unlink_key").values_list("face_id", "link_key", "unlink_key")
    assert list(log) == [(faces[0], 2, 1), (faces[3], 4, 2), (faces[1], 3, 3)]
    assert keys_of(account, list_id) == (6, 3)


@pytest.mark.parametrize("verb", [services.list_attach_faces, services.list_detach_faces])
def test_linking_refuses_what_is_not_there(account: UUID, stranger: UUID, verb: Callable[..., object]) -> None:
    list_id = services.list_create(account_id=account).list_id
    face_id = services.face_create(account_id=account, draft=FaceDraft()).face_id
    foreign_list = services.list_create(account_id=stranger).list_id
    foreign_face = services.face_create(account_id=stranger, draft=FaceDraft()).face_id
    for target, faces, code in (
        (uuid4(), [face_id], 22003),
        (foreign_list, [face_id], 22003),
        (list_id, [face_id, uuid4()], 22004),
        (list_id, [face_id, foreign_face], 22004),
    ):
        with pytest.raises(LunaError) as caught:
            verb(account_id=account, list_id=target, face_ids=faces)
        assert caught.value.code == code
    assert not ListFace.objects.exists()


def test_deleting_faces_is_all_or_nothing(account: UUID, stranger: UUID) -> None:
    mine = services.face_create(account_id=account, draft=FaceDraft(attribute=attribute_data())).face_id
    foreign = services.face_create(account_id=stranger, draft=FaceDraft()).face_id
    with pytest.raises(LunaError) as caught:
        services.faces_delete(account_id=account, face_ids=[mine, foreign])
    assert caught.value.code == 22004
    with pytest.raises(LunaError) as caught:
        services.face_delete(account_id=account, face_id=foreign)
    assert caught.value.code == 22002
    assert Face.objects.unscoped().count() == 2
    services.faces_delete(account_id=account, face_ids=[mine])
    assert not FaceDescriptor.objects.exists()
    assert not FaceAttribute.objects.exists()


def test_deleting_lists_leaves_a_line_and_the_faces(account: UUID) -> None:
    first, second = (services.list_create(account_id=account).list_id for _ in range(2))
    face = services.face_create(account_id=account, draft=FaceDraft(lists=[first, second])).face_id
    services.list_delete(account_id=account, list_id=first)
    assert selectors.face_get(scope=Scope(account), face_id=face).lists == [second]
    assert [row.list_id for row in ListDeletion.objects.for_account(account)] == [first]


def test_deleting_lists_with_their_faces(account: UUID, stranger: UUID) -> None:
    first, second = (services.list_create(account_id=account).list_id for _ in range(2))
    services.face_create(account_id=account, draft=FaceDraft(lists=[first, second], attribute=attribute_data()))
    stays = services.face_create(account_id=account, draft=FaceDraft(lists=[second])).face_id
    with pytest.raises(LunaError) as caught:
        services.lists_delete(account_id=stranger, list_ids=[first], with_faces=True)
    assert caught.value.code == 22005
    assert Face.objects.unscoped().count() == 2
    services.lists_delete(account_id=account, list_ids=[first], with_faces=True)
    assert [face.face_id for face in Face.objects.unscoped()] == [stays]
    assert keys_of(account, second) == (2, 1)


def test_a_large_list_goes_with_its_faces_in_little_memory(
    account: UUID, stranger: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five times as many faces take no more memory; those in other lists leave a line in the logs of these."""
    monkeypatch.setattr(links, "BATCH_FACES", 100)
    peaks = []
    for count in (400, 2000):
        list_id, other = (services.list_create(account_id=account).list_id for _ in range(2))
        for start in range(0, count, 200):
            lists = (list_id, other) if start == 0 else (list_id,)
            services.faces_create(account_id=account, drafts=[FaceDraft(lists=lists) for _ in range(200)])
        foreign = services.face_create(account_id=stranger, draft=FaceDraft()).face_id
        tracemalloc.start()
        services.lists_delete(account_id=account, list_ids=[list_id], with_faces=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert not Face.objects.for_account(account).exists()
        assert not ListFace.objects.exists()
        assert keys_of(account, other) == (200, 200)
        assert ListUnlink.objects.filter(list__list_id=other).count() == 200
        assert Face.objects.for_account(stranger).filter(face_id=foreign).exists()
    assert peaks[1] < 1.3 * peaks[0], peaks


def test_an_attribute_is_replaced_under_the_next_generation(account: UUID) -> None:
    face_id = services.face_create(account_id=account, draft=FaceDraft(attribute=attribute_data(1, 77, 78))).face_id
    services.face_attribute_set(account_id=account, face_id=face_id, attribute=attribute_data(2))
    attribute = selectors.face_attribute_get(scope=Scope(account), face_id=face_id)
    assert attribute.generation == 1
    (descriptor,) = FaceDescriptor.objects.all()
    assert (descriptor.version, descriptor.generation) == (VERSION, 1)
    services.face_attribute_delete(account_id=account, face_id=face_id)
    with pytest.raises(LunaError) as caught:
        services.face_attribute_delete(account_id=account, face_id=face_id)
    assert caught.value.code == 11032
    assert not FaceDescriptor.objects.exists()


def test_filters(account: UUID, stranger: UUID) -> None:
    list_id = services.list_create(account_id=account, user_data="l").list_id
    faces = [
        services.face_create(
            account_id=account, draft=FaceDraft(external_id=f"e{n}", user_data=f"u{n % 2}", event_id=uuid4())
        )
        for n in range(4)
    ]
    services.face_create(account_id=stranger, draft=FaceDraft(external_id="e1", user_data="u1"))
    services.list_attach_faces(account_id=account, list_id=list_id, face_ids=[faces[1].face_id, faces[3].face_id])
    middle = sorted(face.face_id for face in faces)[2]
    for filters, expected in (
        ({}, {0, 1, 2, 3}),
        ({"face_ids": [faces[0].face_id, uuid4()]}, {0}),
        ({"external_ids": ["e1", "e2"]}, {1, 2}),
        ({"event_ids": [faces[3].event_id]}, {3}),
        ({"user_data": "u1"}, {1, 3}),
        ({"user_data": "u"}, set()),
        ({"list_id": list_id}, {1, 3}),
        ({"list_id": list_id, "external_ids": ["e3"]}, {3}),
        ({"create_time__gte": faces[2].create_time}, {2, 3}),
        ({"create_time__lt": faces[2].create_time}, {0, 1}),
        ({"face_id__gte": middle}, {n for n, face in enumerate(faces) if face.face_id >= middle}),
        ({"face_id__lt": middle}, {n for n, face in enumerate(faces) if face.face_id < middle}),
        ({"face_id__lte": middle}, {n for n, face in enumerate(faces) if face.face_id <= middle}),
        ({"face_ids": []}, set()),
    ):
        page = selectors.faces_page(scope=Scope(account), filters=filters, page=Page())
        newest_first = [faces[n].face_id for n in sorted(expected, reverse=True)]
        assert [face.face_id for face in page] == newest_first, filters
        assert selectors.faces_count(scope=Scope(account), filters=filters) == len(expected)
    assert selectors.faces_count(scope=Scope(None), filters={"user_data": "u1"}) == 3
    assert selectors.lists_count(scope=Scope(account), filters={"user_data": "l"}) == 1
    assert selectors.lists_count(scope=Scope(stranger), filters={}) == 0


def pages(account: UUID, filters: Filters, size: int) -> list[list[UUID]]:
    found, number = [], 1
    while page := selectors.faces_page(scope=Scope(account), filters=filters, page=Page(number, size)):
        found.append([face.face_id for face in page])
        number += 1
    return found


@pytest.mark.parametrize("size", [1, 4, 10, 25, 100])
@pytest.mark.parametrize("removed", [(), (24,), (0, 1, 2), (3, 9, 11, 20), tuple(range(25))])
def test_pages(account: UUID, size: int, removed: tuple[int, ...]) -> None:
    """All pages together hold each face once, newest first, also of a list that faces have left."""
    list_id = services.list_create(account_id=account).list_id
    made = services.faces_create(account_id=account, drafts=[FaceDraft(lists=(list_id,)) for _ in range(25)])
    gone = [made[n].face_id for n in removed]
    services.list_detach_faces(account_id=account, list_id=list_id, face_ids=gone)
    everybody = [face.face_id for face in reversed(made)]
    members = [face_id for face_id in everybody if face_id not in gone]
    for filters, expected in (({}, everybody), ({"list_id": list_id}, members)):
        found = pages(account, filters, size)
        assert [face_id for page in found for face_id in page] == expected
        assert all(len(page) == size for page in found[:-1])
        assert selectors.faces_count(scope=Scope(account), filters=filters) == len(expected)


def test_pages_of_a_list_come_in_the_order_of_links(account: UUID, stranger: UUID) -> None:
    list_id = services.list_create(account_id=account).list_id
    faces = [services.face_create(account_id=account, draft=FaceDraft(user_data="u")).face_id for _ in range(3)]
    services.list_attach_faces(account_id=account, list_id=list_id, face_ids=[faces[1], faces[2], faces[0]])
    for filters in ({"list_id": list_id}, {"list_id": list_id, "user_data": "u"}):
        assert pages(account, filters, 2) == [[faces[0], faces[2]], [faces[1]]]
        assert pages(stranger, filters, 2) == []
        assert selectors.faces_count(scope=Scope(stranger), filters=filters) == 0


def test_pages_cost_a_fixed_number_of_queries(account: UUID, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    list_id = services.list_create(account_id=account).list_id
    services.faces_create(account_id=account, drafts=[FaceDraft(lists=(list_id,)) for _ in range(25)])
    for filters, queries in (({}, 1), ({"list_id": list_id}, 3)):
        for size in (1, 20):
            with django_assert_num_queries(queries):
                page = selectors.faces_page(scope=Scope(account), filters=filters, page=Page(1, size))
                assert [face.lists for face in page] == [[list_id]] * size


def test_a_reader_can_follow_a_list(account: UUID) -> None:
    list_id = services.list_create(account_id=account).list_id
    faces = [services.face_create(account_id=account, draft=FaceDraft(lists=[list_id])).face_id for _ in range(4)]
    services.faces_delete(account_id=account, face_ids=[faces[2], faces[0]])
    assert selectors.links_after(list_id=list_id, link_key=0, limit=10) == [(2, faces[1]), (4, faces[3])]
    assert selectors.links_after(list_id=list_id, link_key=2, limit=10) == [(4, faces[3])]
    assert selectors.links_after(list_id=list_id, link_key=0, limit=1) == [(2, faces[1])]
    assert selectors.unlinks_after(list_id=list_id, unlink_key=0, limit=10) == [(1, faces[0], 1), (2, faces[2], 3)]
    assert selectors.unlinks_after(list_id=list_id, unlink_key=1, limit=10) == [(2, faces[2], 3)]
