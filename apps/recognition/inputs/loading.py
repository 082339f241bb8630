"""Loading of the images of a request from its body, the Image Store or URLs."""

from collections.abc import Sequence
from uuid import UUID

from apps.accounts.auth.principal import Actor
from apps.imagestore.services import objects_audit
from apps.recognition.inputs.sources import Loaded, Readable, everything, load_samples, load_urls
from apps.recognition.inputs.types import ImageReference, InputReferences, Inputs, Picture
from apps.recognition.types import ImageInput, ImageType


def inputs_load(
    *, references: InputReferences, account_id: UUID | None, actor: Actor | None = None, readable: Readable = everything
) -> Inputs:
    """Return the request with its images loaded; an image that cannot be loaded holds its error.

    `account_id`: owner of the stored images and samples, None if the client may read none. `readable`: the kinds of
    objects that the client may read; other kinds are not found. Each read of a stored object writes an audit line of
    `actor`, because the response can contain its warp or descriptor.
    """
    urls = [image.url for image in references.images if image.url is not None]
    sample_ids = [image.sample_id for image in references.images if image.sample_id is not None]
    of_urls = load_urls(urls, account_id, readable)
    of_samples = load_samples(sample_ids, account_id, readable) if sample_ids else []
    _audit((*of_urls, *of_samples), actor)
    from_urls, from_samples = iter(of_urls), iter(of_samples)
    pictures = []
    for image in references.images:
        if image.url is not None:
            loaded = next(from_urls)
        elif image.sample_id is not None:
            loaded = next(from_samples)
        else:
            loaded = Loaded(image.data, image.error)
        pictures.append(_picture(image, loaded, references.image_type))
    return Inputs(
        pictures=tuple(pictures),
        descriptors=references.descriptors,
        meta=references.meta,
        parts=references.parts,
        alone=references.alone,
    )


def samples_load(*, sample_ids: Sequence[UUID], account_id: UUID, actor: Actor | None = None) -> list[ImageInput]:
    """Return stored face samples, in this order, and write an audit line of `actor` for each.

    Raises LunaError SAMPLE_NOT_FOUND if a sample does not exist.
    """
    loaded = load_samples(sample_ids, account_id)
    for each in loaded:
        if each.error is not None:
            raise each.error
    _audit(loaded, actor)
    return [
        ImageInput(each.data, str(sample_id), ImageType.FACE_WARP, landmarks5=each.landmarks5)
        for sample_id, each in zip(sample_ids, loaded, strict=True)
    ]


def _audit(loaded: Sequence[Loaded], actor: Actor | None) -> None:
    objects_audit(action="view", rows=[each.stored for each in loaded if each.stored is not None], actor=actor)


def _picture(reference: ImageReference, loaded: Loaded, image_type: ImageType) -> Picture:
    return Picture(
        image=ImageInput(
            data=loaded.data,
            filename=reference.filename,
            image_type=image_type if reference.sample_id is None else ImageType.FACE_WARP,
            face_boxes=reference.face_boxes,
            body_boxes=reference.body_boxes,
            landmarks5=loaded.landmarks5,
            trusted_boxes=reference.trusted_boxes,
        ),
        error=loaded.error,
        details=reference.details,
        url=reference.url,
        sample_id=reference.sample_id,
    )
