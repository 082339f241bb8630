from django.apps import AppConfig

from apps.common.holdings import Holding, holdings


class FacesConfig(AppConfig):
    name = "apps.faces"
    verbose_name = "Faces"

    def ready(self) -> None:
        from apps.faces import consistency, erasure
        from apps.faces.selectors import described_count
        from apps.faces.thin import THIN_FACES
        from apps.licenses.selectors import register_faces

        register_faces(described_count)
        holdings.register(
            self.label,
            Holding(
                account=erasure.attributes_erase,
                account_count=erasure.attributes_count,
                person=erasure.PersonFaces,
                checks={
                    "descriptors": consistency.descriptors_check,
                    "lists": consistency.lists_check,
                    "samples": consistency.samples_check,
                    "temporary attributes": consistency.attributes_check,
                    "thin table of faces": THIN_FACES.faults,
                },
            ),
        )
