"""Walking and reading real folders."""

import os
from pathlib import Path

import pytest

from gateway.services.ingest import files
from gateway.services.ingest.files import Changed, Found, Gone, TooLarge, Unreadable, read_steadily, walk


def junk(name: str) -> bool:
    return name.endswith(".tmp")


def walked(*roots: Path) -> list[str | None]:
    return [os.fsdecode(found.path) if found else None for found in walk([str(root) for root in roots], junk)]


def test_every_file_comes_once_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a/x/3", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert sorted(filter(None, walked(tmp_path))) == [str(tmp_path / name) for name in ("a/x/3", "b/1", "b/2", "c")]
    assert walked(tmp_path) == walked(tmp_path)


def test_ignored_files_are_counted_and_ignored_folders_not_entered(tmp_path: Path) -> None:
    (tmp_path / "x.tmp").write_text("x")
    (tmp_path / "folder.tmp").mkdir()
    (tmp_path / "folder.tmp" / "inside").write_text("x")
    assert walked(tmp_path) == [None]


def test_a_single_file_is_a_root_too(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("abc")
    (found,) = walk([str(tmp_path / "one")], junk)
    assert found is not None and found.size == 3


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    found = {os.path.basename(one.path): one.error for one in walk([str(tmp_path)], junk) if one}
    assert set(found) == {b"file", b"link", b"broken"}
    assert found[b"broken"] and not found[b"file"]


def test_a_root_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (found,) = walk([str(tmp_path / "none")], junk)
    assert found is not None and found.error


def test_names_that_are_no_text_survive(tmp_path: Path) -> None:
    name = os.fsencode(str(tmp_path)) + b"/\xff\xfe"
    Path(os.fsdecode(name)).write_text("x")
    (found,) = walk([str(tmp_path)], junk)
    assert found is not None and found.path == name


def test_memory_does_not_hold_the_tree(tmp_path: Path) -> None:
    """The walk is lazy: a file that appears behind the first answer is still found."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1").write_text("x")
    (tmp_path / "b").mkdir()
    source = walk([str(tmp_path)], junk)
    assert next(source) is not None
    (tmp_path / "b" / "late").write_text("x")
    assert [one.path for one in source if one] == [os.fsencode(str(tmp_path / "b" / "late"))]


def read(path: Path, max_bytes: int = 1000) -> bytes:
    return read_steadily(os.fsencode(str(path)), max_bytes).data


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 1000])
def test_a_file_is_read_whole(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    assert read(tmp_path / "f") == content


def test_more_than_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 1001)
    with pytest.raises(TooLarge):
        read(tmp_path / "f")


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(Gone):
        read(tmp_path / "none")
    with pytest.raises(Unreadable):
        read(tmp_path)


@pytest.mark.parametrize(("writes", "readable"), [(1, True), (9, False)])
def test_a_file_that_is_being_written_is_read_once_more_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int, readable: bool
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    left = [writes]
    whole = files._all

    def disturbed(file: object, size: int, take: object) -> int:
        data = whole(file, size, take)  # type: ignore[arg-type]
        if left[0]:
            left[0] -= 1
            with path.open("ab") as writer:
                writer.write(b"+")
        return data

    monkeypatch.setattr(files, "_all", disturbed)
    if readable:
        assert read(path) == b"old+"
    else:
        with pytest.raises(Changed):
            read(path)


def test_found_says_what_the_ledger_compares(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    assert list(walk([str(path)], junk)) == [Found(os.fsencode(str(path)), 5, 1_700_000_000_123_456_789)]
