"""Enrol a person from one photograph and find the person in another one.

Usage: `enrol_and_match.py URL PHOTO OTHER_PHOTO`. It creates an account, which a real program has already, and prints
the similarity as JSON.
"""

import json
import sys
import uuid
from pathlib import Path

from luna_platform import Client


def main(url: str, photo: Path, other_photo: Path) -> float:
    login, password = f"example-{uuid.uuid4().hex}@luna.test", "a long and secret phrase"
    with Client(url) as luna:
        luna.post_accounts({"login": login, "password": password})
    with Client(url, login=login, password=password) as luna:
        token = luna.post_tokens({}, grant_all_permissions=True)["token"]
    with Client(url, token=token) as luna:
        guests = luna.post_lists({"user_data": "guests"})["list_id"]
        attribute = attributes_of(luna, photo)[0]
        face = luna.post_faces({"user_data": "Ada", "lists": [guests], "attribute": {"attribute_id": attribute}})
        found = luna.post_match_faces(
            {
                "references": [{"type": "attribute", "id": each} for each in attributes_of(luna, other_photo)],
                "candidates": [{"filters": {"list_id": guests}, "limit": 1}],
            }
        )
        best = max((each["matches"][0]["result"][0] for each in found), key=lambda match: match["similarity"] or 0)
        if best["face"] is None or best["face"]["face_id"] != face["face_id"]:
            raise SystemExit("The person was not found.")
        return float(best["similarity"] or 0)


def attributes_of(luna: Client, photo: Path) -> list[str]:
    """Return a temporary attribute of each face of a photograph, the largest face first."""
    found = luna.post_detector(photo)
    faces = [each["face"] for each in found["images"][0]["detections"]["samples"] if each["face"] is not None]
    faces.sort(key=lambda face: face["detection"]["rect"]["width"], reverse=True)
    attributes = luna.post_extractor([str(face["sample_id"]) for face in faces])
    return [str(each["attribute_id"]) for each in attributes]


if __name__ == "__main__":
    print(json.dumps({"similarity": main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))}))
