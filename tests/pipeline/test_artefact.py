import json

import pytest

from harken.pipeline.artefact import fresh_folder, is_current, mark, publish, read_marker, write_text


def finished(folder):
    with fresh_folder(folder / "made") as made:
        (made / "weights").write_text("one")
        (made / "inner").mkdir()
        (made / "inner" / "more").write_text("two")
    mark(folder, "rounds/1/stage", ("made",), "key", seconds=1.0, peak_mib=2.0)


def test_current_only_with_its_key_and_whole(tmp_path):
    assert not is_current(tmp_path, "rounds/1/stage", "key")
    finished(tmp_path)
    assert is_current(tmp_path, "rounds/1/stage", "key")
    assert not is_current(tmp_path, "rounds/1/stage", "other")
    assert set(read_marker(tmp_path, "rounds/1/stage").files) == {"made/weights", "made/inner/more"}
    (tmp_path / "made" / "weights").write_text("changed")
    assert not is_current(tmp_path, "rounds/1/stage", "key")
    (tmp_path / "made" / "weights").unlink()
    assert not is_current(tmp_path, "rounds/1/stage", "key")


def test_a_folder_takes_its_name_only_when_all_was_written(tmp_path):
    finished(tmp_path)
    with pytest.raises(RuntimeError, match="disk"), fresh_folder(tmp_path / "made") as made:
        (made / "weights").write_text("half")
        raise RuntimeError("disk full")
    assert (tmp_path / "made" / "weights").read_text() == "one"


def test_publish_replaces_folders_and_files(tmp_path):
    finished(tmp_path)
    publish(tmp_path, "made", "top")
    assert (tmp_path / "top" / "inner" / "more").read_text() == "two"
    assert (tmp_path / "top" / "weights").samefile(tmp_path / "made" / "weights")
    with fresh_folder(tmp_path / "made") as made:
        (made / "weights").write_text("newer")
    publish(tmp_path, "made", "top")
    assert [p.name for p in (tmp_path / "top").iterdir()] == ["weights"]
    assert (tmp_path / "top" / "weights").read_text() == "newer"
    write_text(tmp_path / "rounds/1/evaluation.json", json.dumps({"a": 1}))
    for _ in range(2):
        publish(tmp_path, "rounds/1/evaluation.json", "evaluation.json")
    assert json.loads((tmp_path / "evaluation.json").read_text()) == {"a": 1}
