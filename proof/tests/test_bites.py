"""What `--without` switches off is still in the code, and off in the copy alone."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from panier_proof.bites import BITES, Bite, plant


@pytest.mark.parametrize("name", BITES)
def test_the_place_is_still_there(name: str, tmp_path: Path) -> None:
    bite = BITES[name]
    plant(bite, tmp_path / "without")
    changed = (tmp_path / "without" / bite.package / bite.file).read_text("utf-8")
    assert bite.new in changed
    compile(changed, bite.file, "exec")
    spec = find_spec(bite.package)
    assert spec is not None
    assert spec.origin is not None
    assert bite.old in (Path(spec.origin).parent / bite.file).read_text("utf-8"), "the real one is as it was"


def test_a_place_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = Bite("nothing", "panier_common", "batch.py", "what nobody ever wrote", "", ())
    with pytest.raises(LookupError):
        plant(gone, tmp_path / "without")
