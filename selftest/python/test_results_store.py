"""A run on disk: whole or not at all, and one clear line about every file that is no run."""
from __future__ import annotations

import errno
import json
import os
import resource
import stat
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from results import store
from selftest.python import results_sample as sample

NOBODY = 65534


class Store(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.run_ = sample.run(self.folder / "events.jsonl")


@contextmanager
def no_room(size: int) -> Iterator[None]:
    """Files of this process grow to `size` bytes, then write(2) fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Saving(Store):
    def test_a_run_comes_back_as_it_was(self) -> None:
        path = store.save(self.run_, self.folder / "new" / "run")
        self.assertEqual(store.load(path), self.run_)
        self.assertEqual(store.load(path.parent), self.run_)
        swept = sample.swept()
        self.assertEqual(store.load(store.save(swept, self.folder / "swept")), swept)

    def test_nothing_else_is_left_in_the_folder(self) -> None:
        store.save(self.run_, self.folder / "run")
        self.assertEqual(os.listdir(self.folder / "run"), ["run.json"])

    def test_others_may_read_it(self) -> None:
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        self.assertEqual(stat.S_IMODE(store.save(self.run_, self.folder / "run").stat().st_mode), 0o644)

    def test_a_full_disk_leaves_the_old_run_and_no_half_one(self) -> None:
        path = store.save(self.run_, self.folder / "run")
        before = path.read_bytes()
        with no_room(1000), self.assertRaises(OSError):
            store.save(self.run_, self.folder / "run")
        self.assertEqual((path.read_bytes(), os.listdir(path.parent)), (before, ["run.json"]))

    def test_a_full_disk_that_shows_late_leaves_no_half_run(self) -> None:
        (self.folder / "run").mkdir()
        with mock.patch("os.fsync", side_effect=OSError(errno.ENOSPC, "No space left on device")):
            with self.assertRaises(OSError):
                store.save(self.run_, self.folder / "run")
        self.assertEqual(os.listdir(self.folder / "run"), [])

    def test_a_folder_that_cannot_be_made_is_an_oserror(self) -> None:
        (self.folder / "file").write_text("")
        with self.assertRaises(OSError):
            store.save(self.run_, self.folder / "file" / "run")


class Loading(Store):
    def refused(self, content: bytes | None, *words: str) -> None:
        """load() refuses `content` in one line that has these words and says what to do."""
        path = self.folder / "run.json"
        if content is not None:
            path.write_bytes(content)
        with self.assertRaises(store.UnreadableRun) as caught:
            store.load(path)
        self.one_line(str(caught.exception), str(path), *words)

    def one_line(self, said: str, *words: str) -> None:
        for word in words:
            self.assertIn(word, said)
        self.assertNotIn("\n", said)
        self.assertRegex(said, "run the suite again|name a|name the|chmod")

    def changed(self, change: Any) -> bytes:
        value = json.loads(json.dumps(self.run_.to_json()))
        change(value)
        return json.dumps(value).encode()

    def test_no_file(self) -> None:
        self.refused(None, "no such file")

    def test_a_folder_without_a_run(self) -> None:
        with self.assertRaises(store.UnreadableRun) as caught:
            store.load(self.folder)
        self.one_line(str(caught.exception), str(self.folder), "no run.json")

    def test_no_regular_file(self) -> None:
        os.mkfifo(self.folder / "run.json")
        self.refused(None, "not a regular file")

    def test_a_folder_in_its_place(self) -> None:
        (self.folder / "run.json").mkdir()
        with self.assertRaises(store.UnreadableRun) as caught:
            store.load(self.folder)
        self.one_line(str(caught.exception), "not a regular file")

    def test_empty(self) -> None:
        self.refused(b"", "empty")
        self.refused(b" \n", "empty")

    def test_half_written(self) -> None:
        whole = store.save(self.run_, self.folder / "whole").read_bytes()
        for size in (1, 10, len(whole) // 2, len(whole) - 3):
            with self.subTest(size=size):
                self.refused(whole[:size], "not whole JSON", "line ")

    def test_not_utf8(self) -> None:
        self.refused(b"\xff\xfe{}", "not UTF-8")

    def test_nested_without_end(self) -> None:
        self.refused(b"[" * 200_000, "no run of portshare")

    def test_another_schema_version(self) -> None:
        self.refused(self.changed(lambda run: run.update(schema=2)), "the older schema 2", "reads schema 3")
        self.refused(b'{"schema": 9}', "the newer schema 9", "reads schema 3")

    def test_no_run_at_all(self) -> None:
        self.refused(b"[]", "wanted an object")
        self.refused(b"{}", "schema")
        self.refused(b'{"schema": "1"}', "schema")

    def test_wrong_types_are_named_with_their_place(self) -> None:
        for place, change in {
            "epochs.reuseport: wanted true or false": lambda run: run["epochs"].update(reuseport=1),
            "epochs: wanted an object": lambda run: run.update(epochs=[]),
            "seconds: wanted a number": lambda run: run.update(seconds="3"),
            "seconds: wanted a number, found true": lambda run: run.update(seconds=True),
            "jobs: wanted a whole number": lambda run: run.update(jobs=1.5),
            "interrupted: wanted true or false": lambda run: run.update(interrupted=0),
            "target: wanted an object": lambda run: run.update(target=None),
            "target.config_sha256: wanted a string": lambda run: run["target"].update(config_sha256=1),
            "cases: wanted a list": lambda run: run.update(cases={}),
            "cases[1].status: wanted one of pass, skip": lambda run: run["cases"][1].update(status="ok"),
            "cases[0].claims[0]: wanted a string": lambda run: run["cases"][0].update(claims=[None]),
            "cases[0].attempts[1].attempt: wanted a whole number, found ''":
                lambda run: run["cases"][0]["attempts"][1].update(attempt=""),
        }.items():
            with self.subTest(place):
                self.refused(self.changed(change), place)

    def test_numbers_that_json_has_not_are_refused(self) -> None:
        for number in (b"NaN", b"Infinity", b"1e999", b"1" + b"0" * 400):
            with self.subTest(number[:10]):
                whole = json.dumps(self.run_.to_json()).encode()
                self.refused(whole.replace(b'"seconds": 41.5', b'"seconds": ' + number), "seconds: wanted a number")

    def test_missing_and_unknown_keys_are_named(self) -> None:
        self.refused(self.changed(lambda run: run.pop("cases")), "cases: missing")
        self.refused(self.changed(lambda run: run["target"].pop("release")), "target.release: missing")
        self.refused(self.changed(lambda run: run["cases"][2].update(colour=1)), "cases[2].colour: unknown key")

    def test_no_permission(self) -> None:
        path = store.save(self.run_, self.folder / "run")
        path.chmod(0)
        self.folder.chmod(0o755)
        if os.geteuid() == 0:  # whom no mode stops
            os.seteuid(NOBODY)
            self.addCleanup(os.seteuid, 0)
        for place in (path, path.parent):
            with self.subTest(place.name), self.assertRaises(store.UnreadableRun) as caught:
                store.load(place)
            self.one_line(str(caught.exception), str(path), "permission denied")

    def test_a_name_longer_than_names_can_be(self) -> None:
        with self.assertRaises(store.UnreadableRun) as caught:
            store.load(self.folder / ("x" * 300))
        self.one_line(str(caught.exception), "File name too long")


class Latest(Store):
    def test_none_yet(self) -> None:
        self.assertIsNone(store.latest(self.folder))
        self.assertIsNone(store.latest(self.folder / "never_made"))

    def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(self) -> None:
        (self.folder / "file").touch()
        with self.assertRaises(store.UnreadableRun):
            store.latest(self.folder / "file")

    def test_the_newest_that_was_saved(self) -> None:
        for name in ("20261122T141500Z-99", "20261123T000000Z-1", "20251231T235959Z-7"):
            store.save(self.run_, self.folder / name)
        (self.folder / "20270101T000000Z-1").mkdir()
        (self.folder / "latest").symlink_to("20251231T235959Z-7")
        self.assertEqual(store.latest(self.folder), self.folder / "20261123T000000Z-1")

    def test_runs_of_one_second_are_as_old_as_their_files(self) -> None:
        second = "20261122T141500Z"
        saved = [store.save(self.run_, self.folder / f"{second}-{pid}") for pid in (1000, 999, 10000, 2)]
        for age, path in enumerate(saved):  # saved in one tick of the clock, they might be of one age
            os.utime(path, ns=(age, age))
        store.save(self.run_, self.folder / "20261122T141459Z-1")
        self.assertEqual([path.name.partition("-")[2] for path in store.newest(self.folder)],
                         ["2", "10000", "999", "1000", "1"])
        self.assertEqual(store.latest(self.folder), self.folder / f"{second}-2")


if __name__ == "__main__":
    unittest.main()
