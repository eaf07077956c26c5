"""What a page gets is what was put in, and a folder that is not a page's is not touched."""

import base64
import gzip
import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recipes.commands.cli import main
from recipes.viewer.packs import pack, script, smallest
from recipes.viewer.page_files import SCRIPTS, SOURCE, STYLES, PageFile, PageFolder, style_of
from recipes.viewer.step_rows import _cuts
from recipes.viewer.view import chosen_steps
from rl.runs.run_folder import RunFolder
from verifiers.input_error import InputError


def unpack(text: str) -> tuple[Any, dict[str, np.ndarray]]:
    """By the words of the format alone."""
    data = gzip.decompress(base64.b64decode(text))
    (length,) = struct.unpack("<I", data[:4])
    header = json.loads(data[4 : 4 + length])
    assert (4 + length) % 8 == 0
    kinds = {"u1": "u1", "u2": "<u2", "u4": "<u4", "i4": "<i4", "f4": "<f4", "f2": "<f2"}
    arrays = {name: np.frombuffer(data, kinds[kind], count, 4 + length + place) for name, (kind, place, count) in header["arrays"].items()}
    assert all(place % 8 == 0 for _, place, _ in header["arrays"].values())
    return header["facts"], arrays


def test_a_number_that_is_not_finite_is_null_which_a_browser_reads() -> None:
    facts, _ = unpack(pack({"options": {"weight": float("inf")}, "steps": [[1, float("nan")]]}, {}))
    assert facts == {"options": {"weight": None}, "steps": [[1, None]]}


def test_a_pack_holds_what_was_put_in() -> None:
    facts = {"text": "</script> \x00 \u2028 é \ud83d", "n": [1, None]}
    arrays = {
        "bytes": np.arange(5, dtype=np.uint8), "half": np.array([0.5, np.nan, -65504.0], np.float16), "none": np.zeros(0, np.float32),
        "whole": np.array([-1, 2**31 - 1], np.int32),
    }  # fmt: skip
    packed = pack(facts, arrays)
    found, read = unpack(packed)
    assert found == {"text": "</script> \x00 \u2028 é ?", "n": [1, None]}, "half a character has no place in UTF-8"
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    assert packed == pack(facts, arrays), "the same at any time"
    assert re.fullmatch(r'reckon\.arrived\("a-1","[A-Za-z0-9+/=]+"\)\n', script("a-1", packed))


@pytest.mark.parametrize(("most", "kind"), [(255, np.uint8), (256, np.uint16), (65535, np.uint16), (65536, np.uint32)])
def test_numbers_take_as_few_bytes_as_they_need(most: int, kind: Any) -> None:
    assert smallest(np.array([0, most])).dtype == kind
    assert smallest(np.array([0, most])).tolist() == [0, most]


def test_a_slice_never_parts_a_group() -> None:
    group = np.repeat([0, 1, 2, 3], [200, 100, 600, 1])
    assert list(_cuts(group, [1] * len(group))) == [(0, 300), (300, 900), (900, 901)]
    assert list(_cuts(group, [1 << 20] * len(group))) == [(0, 200), (200, 300), (300, 900), (900, 901)]
    assert list(_cuts(group[:0], [])) == []


def test_of_one_file_every_script_is_named_by_its_hash(tmp_path: Path) -> None:
    page = PageFile(tmp_path / "a.html")
    page.begin()
    page.put("index", pack({}, {}))
    text = page.end("<a & b>").read_text()
    assert "<title>&lt;a &amp; b&gt;</title>" in text
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    for tag, count in (("script", len(SCRIPTS) + 1), ("style", len(STYLES))):
        parts = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(parts) == count
        for part in parts:
            digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy[1]
    assert "unsafe" not in policy[1]
    assert "default-src 'none'" in policy[1]


def test_the_page_needs_no_file_but_its_own() -> None:
    named = {*SCRIPTS, *STYLES, "body.html"}
    own = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*") if path.suffix in (".js", ".css", ".html")}
    assert own == named, "a script that nobody loads, or one that is missing"
    for style in STYLES:
        assert not re.search(r"url\((?!data:)|@import", style_of(style)), f"{style} would load something"
    assert style_of("vendor/katex/katex.min.css").count("data:font/woff2;base64,") == 20
    ours = [name for name in SCRIPTS if not name.startswith("vendor/")]
    for name in ours:
        text = (SOURCE / name).read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(\"on", text), name


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(InputError, match="holds other files"):
        PageFolder(tmp_path)
    own = PageFolder(tmp_path / "view")
    own.begin()
    own.put("0-0-1-0", "x")
    PageFolder(tmp_path / "view").begin()
    assert not list((tmp_path / "view" / "data").iterdir())


def test_which_steps_are_wanted() -> None:
    from recipes.looking.stored_steps import StoredStep

    def of(text: str) -> list[int]:
        wanted = chosen_steps(text)
        return [step for step in range(12) if wanted(StoredStep(Path(), "", step))]

    assert of("") == list(range(12))
    assert of("3-5") == [3, 4, 5]
    assert of("1, 9-10") == [1, 9, 10]
    assert of("every 5") == [0, 5, 10]
    for wrong in ("last", "5-3", "every 0", "1-2-3", "-1"):
        with pytest.raises(InputError, match="--steps"):
            chosen_steps(wrong)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "no such folder"),
        ([".", "--explain", "3", "--model", "m"], "--model would be ignored for runs"),
        (["rows.jsonl"], "--model is missing"),
        (["rows.jsonl", "--model", "m", "--steps", "3"], "--steps would be ignored for data"),
        (["empty"], "is not the folder of a run"),
        (["rounds"], "rounds holds 2 runs, and neither numbers nor rollouts of its own; give those, such as rounds/round-2"),
    ],
)
def test_what_cannot_be_looked_at_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("")
    (tmp_path / "empty").mkdir()
    for number in (1, 2):
        RunFolder.create(tmp_path / "rounds" / f"round-{number}", {"options": {}}).close()
    assert main(["view", *words]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
