"""Refuses rendered manifests in which an image of ours is named by a tag: `kustomize build … | python refuse_tags.py`.

What is rolled out must be what was built, signed and tested: a digest cannot be moved, a tag can.
"""

import re
import sys

_IMAGE = re.compile(r"^\s*(?:- )?image:\s*[\"']?(\S+?)[\"']?\s*$", re.M)
_OURS = re.compile(r"(?:^|/)panier-[a-z]+(?:[:@]|$)")


def tagged(text: str) -> list[str]:
    """Images of ours that are not named by digest; an empty rendering is no release."""
    ours = {image for image in _IMAGE.findall(text) if _OURS.search(image)}
    if not ours:
        return ["no image of ours at all"]
    return sorted(image for image in ours if not re.search(r"@sha256:[0-9a-f]{64}$", image))


if __name__ == "__main__":
    if refused := tagged(sys.stdin.read()):
        sys.exit("named by tag: " + ", ".join(refused))
