"""The command bench, with a stand-in for the program that does one repetition."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.dom.minidom
from dataclasses import replace
from pathlib import Path
from unittest import mock

from bench import comparisons, picture, servers
from bench.comparisons import Comparison, Measure, Way
from driver import bench, packages
from driver.arguments import parse
from driver.console import Console
from driver.stop import Stop

ROOT = Path(__file__).resolve().parent.parent.parent

# Writes down what it was asked; each repetition of a way has a number one higher than the last.
PROGRAM = f"""#!{sys.executable} -S
import json, os, sys, time
calls = os.path.join(os.path.dirname(__file__), "calls")
words = sys.argv[1:]
if words == ["bench"]:
    sys.exit(print("explorer/bare 1.00"))
with open(calls, "a") as file:
    print(*words[:2], file=file)
way = words[1]
count = open(calls).read().split("\\n").count(" ".join(words[:2]))
if way == "race_epoll" and count == 2:
    sys.exit("portshare_bench: no memory\\nand more")
if way == "alone":
    print("seven")
elif way == "race_blocking" and os.path.exists(calls + ".wait"):
    time.sleep(60)
else:
    value = {{"handoff": 10, "shared": 10}}.get(way, 20) + count
    keys = {sorted({measure.key for comparison in comparisons.ALL for measure in comparison.measures})!r}
    print(json.dumps(dict.fromkeys(keys, value)))
"""

COMPARISON = Comparison(
    "tcp", "Who <accepts>", (Way("handoff", "one & all"), Way("race_epoll", "race"), Way("alone", "alone")),
    (Measure("lost", "lost", "connections"), Measure("share_max_min", "share", "times", ratio=True)),
    "What {cores} cores can show.",
)  # fmt: skip
MACHINE = bench.Machine("6.18", "Processor", 2, 1.25, 2.5, "2026-01-01T00:00:00Z")


class WithProgram(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.program = self.folder / "portshare_bench"
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


class Repetitions(WithProgram):
    def measured(self, repetitions: int) -> list[bench.Measured]:
        with mock.patch.object(Console, "remark") as remark:
            measured = bench.repeat(COMPARISON, self.program, repetitions, Console())
        self.remarks = [call.args[0] for call in remark.call_args_list]
        return measured

    def test_the_ways_are_taken_in_turn(self) -> None:
        self.measured(3)
        self.assertEqual(self.calls(), ["tcp handoff", "tcp race_epoll", "tcp alone"] * 3)

    def test_one_that_fails_is_told_and_the_others_count(self) -> None:
        handoff, race, alone = self.measured(3)
        self.assertEqual([repetition["lost"] for repetition in handoff.repetitions], [11, 12, 13])
        self.assertEqual([repetition["lost"] for repetition in race.repetitions], [21, 23])
        self.assertEqual(race.failures, ["repetition 2 of race_epoll: ended with 1: portshare_bench: no memory"])
        self.assertEqual(len(alone.failures), 3)
        self.assertIn("no line of numbers", alone.failures[0])
        self.assertIn("tcp: repetition 2 of race_epoll: ended with 1: portshare_bench: no memory", self.remarks)

    def test_where_nothing_can_be_measured_it_is_tried_once(self) -> None:
        self.program.write_text("#!/bin/sh\necho this user may not >&2; exit 2\n")
        measured = self.measured(5)
        self.assertEqual([len(one.failures) for one in measured], [1, 1, 1])
        lines = bench.table(COMPARISON, measured, MACHINE)
        self.assertIn("  failed: repetition 1 of handoff: ended with 2: this user may not", lines)
        bench.keep(COMPARISON, measured, MACHINE, self.folder / "bench")

    def test_one_without_end_is_ended(self) -> None:
        (self.folder / "calls.wait").touch()
        with mock.patch.object(bench, "LONGEST", 0.3), self.assertRaisesRegex(bench.Failed, "no end within 0.3 s"):
            bench._repetition(COMPARISON, Way("race_blocking", ""), self.program)

    def test_the_table_has_medians_spread_and_ratios_to_the_first(self) -> None:
        lines = bench.table(COMPARISON, self.measured(3), MACHINE)
        self.assertEqual([line.split()[-5:] for line in lines if line.startswith("    race")],
                         [["22", "21", "..", "23", "1.83"]] * 2)
        self.assertIn("2 cores, Processor, Linux 6.18, load 1.25 before, 2.50 after, this included", lines[1])
        self.assertEqual(len([line for line in lines if line.endswith("not measured")]), 2)
        self.assertIn("  failed: repetition 2 of race_epoll: ended with 1: portshare_bench: no memory", lines)
        self.assertEqual(lines[-1], "  What 2 cores can show.")

    def test_what_is_kept_can_be_read_again(self) -> None:
        bench.keep(COMPARISON, self.measured(2), MACHINE, self.folder / "bench")
        kept = json.loads((self.folder / "bench/tcp.json").read_text())
        self.assertEqual([len(way["repetitions"]) for way in kept["ways"]], [2, 1, 0])
        self.assertEqual(kept["machine"]["cores"], 2)
        drawn = xml.dom.minidom.parse(str(self.folder / "bench/tcp.svg"))
        styles = [circle.getAttribute("class") for circle in drawn.getElementsByTagName("circle")]
        self.assertEqual(styles, ["dot"] * 6)
        texts = [text.firstChild.data for text in drawn.getElementsByTagName("text")]
        self.assertIn("Who <accepts>", texts)
        self.assertEqual(texts.count("not measured"), 2)


class Command(WithProgram):
    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [ROOT / "run_all.sh", "bench", *words, "--build-dir", self.folder, "--program", self.program]
        ended = subprocess.run(command, capture_output=True, text=True)
        self.assertNotIn("Traceback", ended.stderr)
        return ended

    def test_words_choose(self) -> None:
        ended = self.ask("explorer", "udp", "--repetitions", "1")
        self.assertEqual(self.calls(), ["udp shared", "udp one_each", "udp alone"])
        self.assertIn("explorer/bare 1.00\n", ended.stdout)
        self.assertEqual((self.folder / "bench/explorer.txt").read_text(), "explorer/bare 1.00\n")

    def test_what_was_not_measured_is_code_2(self) -> None:
        self.assertEqual(self.ask("explorer").returncode, 0)
        self.assertEqual(self.ask("udp", "--repetitions", "1").returncode, 2)

    def test_what_is_missing_is_named_and_the_others_go_on(self) -> None:
        with mock.patch.object(bench, "PATH", str(self.folder)), mock.patch.object(Console, "remark") as remark:
            places = ["--build-dir", str(self.folder), "--program", str(self.program)]
            options = parse(["bench", "nginx", "explorer", *places])
            with mock.patch.object(Console, "line") as line:
                self.assertEqual(bench.bench(options, Console()), 2)
        told = remark.call_args_list[0].args[0]
        self.assertIn("nginx is not measured: missing: nginx (web server that is measured), wrk (HTTP load)", told)
        self.assertTrue(told.endswith("run: sudo ./run_all.sh bench --install-deps=bench"), told)
        line.assert_called_once_with("explorer/bare 1.00")

    def test_an_interrupt_ends_it_and_what_it_started(self) -> None:
        (self.folder / "calls.wait").touch()
        command = [ROOT / "run_all.sh", "bench", "tcp", "--build-dir", self.folder, "--program", self.program]
        with subprocess.Popen(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        ) as process:  # fmt: skip
            while not (self.folder / "calls").exists() or "tcp race_blocking" not in self.calls():
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=20)
        self.assertEqual((process.returncode, stdout, stderr), (130, "", "run_all.sh: interrupted\n"))
        self.assertEqual(len(self.calls()), 2)


BUILT = Path(os.environ.get("PORTSHARE_BUILD", ROOT / "build")) / "portshare_bench"


@unittest.skipUnless(BUILT.exists(), "portshare_bench is not built")
class TheProgram(unittest.TestCase):
    def test_each_way_measures_all_that_is_told(self) -> None:
        for comparison in (comparisons.TCP, comparisons.UDP):
            for way in comparison.ways:
                with self.subTest(way):
                    numbers = bench._repetition(replace(comparison, seconds=0.05), way, BUILT)
                    self.assertEqual(len(numbers["served_by_worker"]), 1 if way.name == "alone" else 4)
                    self.assertGreater(sum(numbers["served_by_worker"]), 0)
                    self.assertEqual(numbers["lost"], 0)

    def test_what_was_entered_ends_with_us(self) -> None:
        script = "trap '' TERM; sleep 60 & echo ready; wait"
        with subprocess.Popen([BUILT, "enter", "sh", "-c", script], stdout=subprocess.PIPE) as process:
            self.assertEqual(process.stdout.readline(), b"ready\n")
            process.terminate()
            self.assertEqual(process.stdout.read(), b"")  # until the last that holds the other end is gone

    def test_a_wrong_word(self) -> None:
        for text in ("", "sctp", "tcp", "tcp none", "tcp alone --seconds=x", "load 0", "enter"):
            words = text.split()
            ended = subprocess.run([BUILT, *words], capture_output=True, text=True)
            self.assertEqual((ended.returncode, ended.stdout), (2, ""), words)
            self.assertIn("usage:", ended.stderr)


class Words(unittest.TestCase):
    def test_five_repetitions_of_everything(self) -> None:
        options = parse(["bench"])
        self.assertEqual((options.words, options.repetitions), ([], 5))
        self.assertEqual(parse(["bench", "--install-deps=bench"]).install, "bench")

    def test_a_name_that_there_is_not(self) -> None:
        with self.assertRaisesRegex(Stop, "bench cannot 'tpc': did you mean tcp?"):
            parse(["bench", "tpc"])

    def test_each_way_with_a_server_is_there(self) -> None:
        with_server = [comparison for comparison in comparisons.ALL if comparison.needs]
        ways = [f"{comparison.name}_{way.name}" for comparison in with_server for way in comparison.ways]
        self.assertEqual(ways, list(servers.WAYS))

    def test_each_need_is_a_package(self) -> None:
        things = {package.thing for package in packages.load() if package.group == "bench"}
        self.assertEqual({need for comparison in comparisons.ALL for need in comparison.needs}, things)


class Pictures(unittest.TestCase):
    def test_numbers_are_short(self) -> None:
        told = {0: "0", 0.0042: "0.004", 3.694: "3.69", 31.66: "31.7", 957.6: "958", 9999: "9999", 12_940: "12.9k",
                2.5e6: "2.5M"}  # fmt: skip
        self.assertEqual([picture.number(value) for value in told], [*told.values()])

    def test_axes_begin_at_nothing_and_hold_everything(self) -> None:
        for highest in (0, 0.0034, 1, 4.99, 5, 99, 12_345):
            ticks = picture._ticks(highest)
            self.assertEqual(ticks[0], 0)
            self.assertGreaterEqual(ticks[-1] * (1 + 1e-9), highest)
            self.assertLessEqual(len(ticks), 6)

    def test_a_wide_ratio_is_drawn_by_its_logarithm(self) -> None:
        drawn = picture.svg("t", ["r"], ["a", "b"], [picture.Panel("share", "times", [[1], [3000]], ratio=True)])
        self.assertIn("times, logarithmic", drawn)
        self.assertIn(f'cx="{picture.LABELS:.1f}"', drawn)


class Shares(unittest.TestCase):
    def test_a_worker_without_any_counts_as_one_with_1(self) -> None:
        self.assertEqual(servers.shares(["7"] * 30 + ["8"]), dict(served_by_worker=[30, 1, 0, 0], share_max_min=30))


if __name__ == "__main__":
    unittest.main()
