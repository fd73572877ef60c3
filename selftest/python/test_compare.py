"""Two runs beside each other: what is called what, what explains it, and how it is told; baselines that come back."""
from __future__ import annotations

import dataclasses
import tempfile
import unittest
from pathlib import Path
from typing import Any

from results import baseline, differences, report
from results.answers import Answer, Answers, complaint, of_run
from results.compare import Comparison, compare
from results.decode import Malformed
from results.discrepancies import discrepancies
from results.got import got
from results.known import Deviation, excuse, load
from results.listing import Case, Epoch, Listing
from results.run import Complaint, ProcessEnd
from results.text import Style
from selftest.python import results_sample as sample

LOG = Style(color=False, width=80)
PASS, OK, INUSE = Answer("pass"), Answer("fail", ("ok",)), Answer("fail", ("EADDRINUSE",))
KNOWN = Answer("known", ("ok",))
SHARES = "connect.shares"
GVISOR = Deviation("gvisor_no_owner_check", "No owner is asked.", ("owners.*",), "target", "it", target="gvisor*")
LACKING = Deviation("udp_first_match", "The first is asked.", ("known.*",), "kernel", "it",
                    epoch="asks_every_holder", sweep=True)


def side(name: str = "a", /, **more: Any) -> Answers:
    """A run that answered as `cases`; its underscores are dots."""
    epochs = {"shares": False, "asks_every_holder": False}
    return dataclasses.replace(Answers(name, "here", "6.18", True, 1, epochs, {}), **more)


def case(case_id: str, *epochs: str) -> Case:
    return Case(case_id, "T.t", case_id.partition(".")[0], "a.cc", 1, (), (), (), epochs)


LISTING = Listing((), (case(SHARES, "shares"), case("known.udp", "asks_every_holder")), (
    Epoch("shares", "shares after a release", "commit 0123456789ab (6.18)"),
    Epoch("asks_every_holder", "asks every holder", "udp_lib_lport_inuse(): no kernel does")))


def compared(before: Answers, after: Answers) -> Comparison:
    return compare(before, after, [LISTING])


def told(found: Comparison) -> list[tuple[str, str, str]]:
    return [(difference.kind, difference.id, difference.why) for difference in found.differences]


class Got(unittest.TestCase):
    def test_the_steps_that_were_wrong(self) -> None:
        self.assertEqual(got([sample.STORY]), ("success",))
        self.assertEqual(got(["  bind a  => ok\n  bind b 127.0.0.1:7777  => EADDRINUSE   <-- wanted ok\n"
                              "  listen b  => EINVAL   <-- wanted ok\n"]), ("EADDRINUSE", "EINVAL"))
        both = "  Actual: EPERM  (bind b)\nsteps:\n  bind b  => EADDRINUSE   <-- wanted ok\n"
        self.assertEqual(got([both]), ("EADDRINUSE",))

    def test_the_actual_value_where_no_step_tells(self) -> None:
        message = "Value of: x\nExpected: ok\n  Actual: EADDRINUSE  (bind b [::]:7777) (of type portshare::Outcome)"
        self.assertEqual(got([message, message]), ("EADDRINUSE",))

    def test_a_number_is_no_name(self) -> None:
        self.assertEqual(got(["  Actual: 17", "something else", "  bind a  => ok\n"]), ())


class Kinds(unittest.TestCase):
    def kind(self, old: Answer | None, new: Answer | None) -> list[str]:
        before, after = (side(cases={"a.b": answer} if answer else {}) for answer in (old, new))
        return [difference.kind for difference in compared(before, after).differences]

    def test_each(self) -> None:
        known, skip = Answer("known", ("ok",)), Answer("skip", ("no_vrf",))
        for old, new, kind in [(PASS, OK, "broken"),
                               (OK, PASS, "fixed"), (PASS, known, "broken"), (known, OK, "broken"),
                               (OK, INUSE, "changed"), (PASS, Answer("flaky"), "flaky"), (Answer("flaky"), OK, "flaky"),
                               (PASS, skip, "not_asked"), (skip, Answer("skip", ("no_sctp",)), "not_asked"),
                               (None, PASS, "added"), (PASS, None, "gone"), (PASS, Answer("timeout"), "broken"),
                               (OK, Answer("crashed"), "changed")]:
            with self.subTest(f"{old} {new}"):
                self.assertEqual(self.kind(old, new), [kind])

    def test_the_same_answer_is_no_difference(self) -> None:
        for answer in (PASS, OK, Answer("skip", ("no_vrf",)), Answer("crashed"), Answer("known", ("ok",))):
            self.assertEqual(self.kind(answer, answer), [])

    def test_a_wavering_case_answered_nothing_that_could_be_the_same(self) -> None:
        found = compared(side(cases={"a.b": Answer("flaky")}), side(cases={"a.b": Answer("flaky")}))
        self.assertEqual((told(found), len(found.unexplained), found.same), ([("flaky", "a.b", "")], 1, 0))

    def test_a_part_of_a_run_has_nothing_gone_and_nothing_added(self) -> None:
        whole, part = side(cases={"a.b": PASS, "a.c": PASS}), side(cases={"a.b": OK}, whole=False)
        self.assertEqual(told(compared(whole, part)), [("broken", "a.b", "")])
        self.assertEqual(told(compared(part, whole)), [("fixed", "a.b", "")])

    def test_an_epoch_alone_is_a_difference_too(self) -> None:
        found = compared(side(), side(epochs={"shares": True, "asks_every_holder": False}))
        self.assertEqual((found.empty, [change.epoch.name for change in found.epochs]), (False, ["shares"]))

    def test_an_epoch_that_one_probe_came_to_no_answer_for_is_told(self) -> None:
        for before, after, words in (({}, {"odd": True}, "odd  no answer -> true"),
                                     ({"odd": False}, {}, "odd  false -> no answer")):
            found = compared(side(epochs=before), side(epochs=after))
            self.assertFalse(found.surprising)
            self.assertIn(words, differences.text(found, LOG))

    def test_an_epoch_that_is_not_as_agreed_needs_to_be_agreed_upon(self) -> None:
        agreed = side(epochs={"shares": True}, agreed=True, cases={SHARES: PASS})
        for epochs, strayed in (({"shares": True}, 0), ({"shares": True, "new": True}, 0), ({"shares": False}, 1),
                                ({}, 1)):
            found = compared(agreed, side(epochs=epochs, cases={SHARES: PASS}))
            self.assertEqual((len(found.strayed), found.unexplained, found.surprising), (strayed, (), bool(strayed)))
            self.assertEqual("1 epoch not as agreed" in differences.summary(found), bool(strayed))
        found = compared(agreed, side(epochs={"shares": False}, cases={SHARES: KNOWN}))
        self.assertEqual((told(found), found.surprising), ([("broken", SHARES, "epoch shares (6.18)")], True))

    def test_what_a_wavering_case_answered_now_and_then_is_not_compared(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            answers = of_run(sample.run(Path(folder) / "events.jsonl"))
        self.assertEqual(answers.cases["tcp_reuseaddr.kept_by_time_wait"], Answer("flaky"))
        self.assertEqual(answers.cases["tcp_reuseaddr.refuses_while_the_holder_listens"], Answer("fail", ("success",)))

    def test_what_needs_an_explanation(self) -> None:
        for old, new, count in [(PASS, OK, 1), (OK, PASS, 1), (OK, INUSE, 1), (PASS, Answer("flaky"), 1),
                                (PASS, Answer("skip", ("x",)), 0)]:
            found = compared(side(cases={"a.b": old}), side(cases={"a.b": new}))
            self.assertEqual(len(found.unexplained), count, f"{old} {new}")


class Lost(unittest.TestCase):
    """What a target was asked when its baseline was agreed upon."""

    SKIP = Answer("skip", ("no_vrf",))

    def test_a_skip_of_what_was_asked_is_unexplained(self) -> None:
        for old in (PASS, KNOWN, OK):
            agreed, now = side(agreed=True, cases={"a.b": old}), side(cases={"a.b": self.SKIP})
            self.assertEqual([(found.kind, found.unexplained) for found in compared(agreed, now).differences],
                             [("lost", True)])

    def test_what_was_never_asked_or_is_explained_is_not(self) -> None:
        agreed = side(agreed=True, cases={"a.b": self.SKIP, "a.c": self.SKIP, SHARES: PASS})
        now = side(cases={"a.b": PASS, "a.c": Answer("skip", ("no_sctp",)), SHARES: self.SKIP},
                   epochs={"shares": True, "asks_every_holder": False})
        found = compared(agreed, now)
        self.assertEqual(told(found), [("not_asked", "a.b", ""), ("not_asked", "a.c", ""),
                                       ("lost", SHARES, "epoch shares (6.18)")])
        self.assertEqual(found.unexplained, ())
        self.assertIn("\nLOST 1\n  PASS -> SKIP no_vrf  1 case\n", differences.text(found, LOG))

    def test_told_by_what_it_answered_now_and_then(self) -> None:
        agreed = side(agreed=True, cases={f"a.b_{number}": PASS for number in range(30)} | {"a.c": PASS, "a.d": PASS})
        now = side(cases={case_id: self.SKIP for case_id in agreed.cases} | {"a.c": OK, "a.d": Answer("skip", ("x",))})
        self.assertIn("\n  a.c                PASS -> ok           broken\n"
                      "  a.b_0 and 29 more  PASS -> SKIP no_vrf  lost\n"
                      "  a.d                PASS -> SKIP x       lost\n", differences.text(compared(agreed, now), LOG))


class Explained(unittest.TestCase):
    def why(self, case_id: str, before: dict[str, Any], after: dict[str, Any], new: Answer = KNOWN,
            old: Answer = PASS) -> str:
        found = compared(side(cases={case_id: old}, **before), side(cases={case_id: new}, **after))
        [difference] = found.differences
        return difference.why

    def test_by_an_epoch_that_the_case_follows(self) -> None:
        has = {"epochs": {"shares": True}}
        self.assertEqual(self.why(SHARES, {}, has), "epoch shares (6.18)")
        self.assertEqual(self.why(SHARES, has, {}), "epoch shares (6.18)")
        self.assertEqual(self.why("other.case", {}, has), "")

    def test_not_by_one_that_is_the_same_or_unknown_on_one_side(self) -> None:
        self.assertEqual(self.why(SHARES, {}, {}), "")
        self.assertEqual(self.why(SHARES, {}, {"epochs": {}}), "")

    def test_by_the_epoch_of_a_known_deviation(self) -> None:
        mended = {"epochs": {"asks_every_holder": True}}
        for entry in (LACKING, dataclasses.replace(LACKING, epoch="!asks_every_holder")):
            self.assertEqual(self.why("known.tcp", {"known": (entry,)}, mended), "epoch asks_every_holder")
        self.assertEqual(self.why("known.tcp", {}, mended), "")

    def test_no_failure_is_due_to_an_epoch_or_a_known_deviation(self) -> None:
        has = {"epochs": {"shares": True, "asks_every_holder": True}, "known": (LACKING,)}
        gvisor = {"target": "gvisor", "known": (GVISOR,)}
        for status in ("fail", "crashed", "timeout", "error", "missing"):
            for case_id, sides in ((SHARES, ({}, has)), ("known.tcp", ({}, has)), ("owners.x", (gvisor, {}))):
                with self.subTest(f"{case_id} {status}"):
                    self.assertEqual(self.why(case_id, *sides, Answer(status)), "")
                    self.assertEqual(self.why(case_id, *sides, KNOWN, Answer(status)), "")
        self.assertEqual(self.why("owners.x", gvisor, {}, Answer("fail", ("EADDRINUSE",)), KNOWN), "")

    def test_by_a_known_deviation_of_one_target(self) -> None:
        gvisor = {"target": "gvisor-20240729", "known": (GVISOR,)}
        self.assertEqual(self.why("owners.x", {}, gvisor), "known deviation gvisor_no_owner_check (target)")
        self.assertEqual(self.why("owners.x", {}, gvisor, INUSE), "", "a wrong answer that the entry does not excuse")
        self.assertEqual(self.why("owners.x", {"target": "gvisor"}, gvisor), "", "both are gVisor")
        self.assertEqual(self.why("other.x", {}, gvisor), "")

    def test_a_wavering_case_has_no_answer_to_explain(self) -> None:
        self.assertEqual(self.why(SHARES, {}, {"epochs": {"shares": True}}, Answer("flaky")), "")


class Sweep(unittest.TestCase):
    def side(self, *causes: str, **more: Any) -> Answers:
        return side(**{"cases": {"explore.udp": Answer("pass", (), causes, 9)}, "known": (LACKING,)} | more)

    def test_causes_that_appear_and_vanish(self) -> None:
        found = compared(self.side("udp_first_match"), self.side("odd", epochs={"asks_every_holder": True}))
        self.assertEqual(told(found), [("broken", "sweep: odd", ""),
                                       ("fixed", "sweep: udp_first_match", "epoch asks_every_holder")])
        self.assertEqual(found.same, 1)

    def test_a_cause_without_its_epoch_is_unexplained(self) -> None:
        self.assertEqual(len(compared(self.side("udp_first_match"), self.side()).unexplained), 1)

    def test_by_an_epoch_that_the_models_cases_follow(self) -> None:
        before, after = self.side("odd"), self.side(epochs={"shares": True, "asks_every_holder": False})
        listings = [dataclasses.replace(LISTING, cases=(case("explore.udp", "shares"),))]
        self.assertEqual(told(compare(before, after, listings)),
                         [("fixed", "sweep: odd", "epoch shares (6.18)")])
        self.assertEqual(told(compare(before, self.side(), listings)), [("fixed", "sweep: odd", "")])

    def test_what_was_not_asked_the_same_is_not_compared(self) -> None:
        met = self.side("odd")
        for other in (self.side(sweep_parts=100), self.side(cases={"explore.udp": Answer("pass", asked=8)})):
            for found in (compared(met, other), compared(other, met)):
                self.assertEqual((told(found), found.same, found.unlike), ([], 1, 1))
                self.assertIn("SWEEP not asked the same in 1 case:", differences.text(found, LOG))
        self.assertEqual(compared(met, self.side()).unlike, 0)

    def test_what_random_walks_met_is_not_compared(self) -> None:
        walks = [self.side(cases={"explore.udp.walks": Answer("pass", (), causes, 9)}) for causes in (("odd",), ())]
        found = compared(*walks)
        self.assertEqual((told(found), found.unlike), ([], 0))

    def test_a_cause_met_anywhere_is_met(self) -> None:
        pairs, walks = (side(cases={"explore.udp": Answer("pass", (), causes, 9),
                                    "explore.udp.walks": Answer("pass", (), by_walks, 9)})
                        for causes, by_walks in ((("odd",), ()), ((), ("odd",))))
        self.assertEqual(told(compared(pairs, walks)), [])

    def test_asked_as_often_in_each_attempt(self) -> None:
        once, twice = sample.sweep(), sample.sweep()
        twice.start("explore.tcp.triples", 2)
        twice.end("explore.tcp.triples", 2, "pass", outcomes=2_409_984, deviations=sample.COUNTS)
        asked = [of_run(sample.swept(made)).cases["explore.tcp.triples"].asked for made in (once, twice)]
        self.assertEqual(asked, [2_409_984] * 2)
        self.assertEqual(of_run(sample.swept()).cases["tcp_reuseaddr.shares"].asked, 0)

    def test_a_sweep_that_only_one_side_finished_is_not_compared(self) -> None:
        skipped = side(cases={"explore.udp": Answer("skip", ("no_namespace",))}, known=(LACKING,))
        self.assertEqual([kind for kind, _, _ in told(compared(self.side("odd"), skipped))], ["not_asked"])


class KernelLog(unittest.TestCase):
    def told(self, before: Answers, after: Answers) -> list[tuple[str, str, str, str]]:
        found = compared(before, after)
        self.assertEqual(found.unexplained, found.differences)
        return [(one.kind, one.id, one.before, one.after) for one in found.differences]

    def test_a_complaint_of_one_kernel_only_is_unexplained(self) -> None:
        quiet, loud = side(cases={"a.b": PASS}), side(cases={"a.b": PASS}, kernel_log={"BUG: x": "a.b"})
        self.assertEqual(self.told(quiet, loud), [("broken", "kernel: BUG: x", "not said", "a.b")])
        self.assertEqual(self.told(loud, quiet), [("fixed", "kernel: BUG: x", "a.b", "not said")])
        self.assertEqual(self.told(loud, dataclasses.replace(loud, kernel_log={"BUG: x": "a.c"})), [])

    def test_not_where_the_other_was_not_asked_that_case(self) -> None:
        loud = side(cases={"a.b": PASS, "a.c": PASS}, kernel_log={"BUG: x": "a.b"})
        for case_id, told in (("a.c", []), ("a.b", [("fixed", "kernel: BUG: x", "a.b", "not said")])):
            self.assertEqual(self.told(loud, side(cases={case_id: PASS}, whole=False)), told)

    def test_numbers_and_addresses_are_not_compared(self) -> None:
        for text, words in [
                ("WARNING: CPU: 0 PID: 57 at net/ipv4/inet_hashtables.c:911 inet6_bind+0x1a/0x3b0",
                 "WARNING: CPU: # PID: # at net/ipv4/inet_hashtables.c:# inet6_bind+#/#"),
                ("BUG: KASAN: slab-use-after-free in __tcp_close+0x1b/0x20",
                 "BUG: KASAN: slab-use-after-free in __tcp_close+#/#"),
                ("list_add corruption. next is ffff88800a3b0c10\x1b", "list_add corruption. next is #\\x1b")]:
            self.assertEqual(complaint(text), words)

    def test_of_a_run_and_in_its_baseline(self) -> None:
        said = (Complaint("a.b", 'BUG: in "f"+0x1a'), Complaint("a.c", 'BUG: in "f"+0x2b'))
        answers = of_run(dataclasses.replace(sample.swept(), kernel_log=said))
        self.assertEqual(answers.kernel_log, {"BUG: in \"f\"+#": "a.b"})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "here.toml"
            path.write_text(baseline.text(answers), encoding="utf-8")
            self.assertEqual(baseline.load(path).kernel_log, answers.kernel_log)


class Properties(unittest.TestCase):
    MIRROR = {"fixed": "broken", "broken": "fixed", "added": "gone", "gone": "added"}

    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        mended = {entry.epoch: True for entry in sample.ENTRIES}
        self.runs = [of_run(run) for run in (
            sample.run(folder / "events.jsonl"), sample.swept(),
            sample.swept(sample.sweep({"tcp_reuseaddr.shares": "fail", "known_anomalies.udp_first_match.bound": "pass"},
                                      {"odd": 1}), epochs=mended),
            sample.swept(whole=False, interrupted=True))]

    def test_a_run_and_itself_do_not_differ(self) -> None:
        for run in self.runs:
            found = compare(run, run, [sample.listing()])
            self.assertEqual([one.id for one in found.differences if one.kind != "flaky"], [])
            self.assertEqual(found.epochs, ())

    def test_the_other_way_round_is_the_mirror(self) -> None:
        kinds = set()
        for one in self.runs:
            for other in self.runs:
                there, back = compare(one, other, []), compare(other, one, [])
                self.assertEqual({(d.kind, d.id, d.before, d.after, d.why) for d in there.differences},
                                 {(self.MIRROR.get(d.kind, d.kind), d.id, d.after, d.before, d.why)
                                  for d in back.differences})
                self.assertEqual((there.same, len(there.epochs)), (back.same, len(back.epochs)))
                kinds |= {d.kind for d in there.differences}
        self.assertLessEqual({"fixed", "broken", "added", "gone"}, kinds)

    def test_a_baseline_comes_back_as_the_run_that_it_was(self) -> None:
        for run in self.runs[:3]:
            with tempfile.TemporaryDirectory() as folder:
                path = baseline.path_of(run.target, Path(folder))
                path.write_text(baseline.text(run), encoding="utf-8")
                back = baseline.load(path)
            agreed = {case_id: answer for case_id, answer in run.cases.items() if answer.status in baseline.AGREEABLE}
            self.assertEqual(back.cases, agreed)
            self.assertEqual((back.target, back.release, back.epochs, back.sweep_parts),
                             (run.target, run.release, run.epochs, run.sweep_parts))
            self.assertEqual(baseline.text(back), baseline.text(dataclasses.replace(run, cases=agreed)))


class Told(unittest.TestCase):
    BEFORE = side("20261122T141500Z-1", cases={
        SHARES: KNOWN, "owners.tcp": PASS, "owners.odd": PASS, "sctp.a": PASS, "sctp.b": PASS, "old.case": PASS,
        "waver.s": PASS, "mended.now": INUSE,
        "explore.udp": Answer("pass", (), ("udp_first_match",), 9)}, known=(LACKING,))
    AFTER = side("20261122T141500Z-2", target="gvisor", release="4.4.0", known=(LACKING, GVISOR),
                 epochs={"shares": True, "asks_every_holder": True}, cases={
        SHARES: PASS, "owners.tcp": Answer("known", ("ok",)), "owners.odd": INUSE,
        "sctp.a": Answer("skip", ("no_sctp",)),
        "sctp.b": Answer("skip", ("no_sctp",)), "waver.s": Answer("flaky"), "mended.now": PASS,
        "explore.udp": Answer("pass", asked=9)}
        | {f"new.case_{number}": PASS for number in range(22)})

    def test_golden(self) -> None:
        sample.same_as_golden(self, "compare.txt", differences.text(compared(self.BEFORE, self.AFTER), LOG))

    def test_beside_the_baseline_nothing_is_said_of_what_agrees(self) -> None:
        self.assertEqual(differences.beside_baseline(compared(self.BEFORE, self.BEFORE), LOG), "")
        self.assertIn("bless", differences.beside_baseline(compared(self.BEFORE, self.AFTER), LOG))

    def test_a_foreign_word_steers_no_terminal(self) -> None:
        found = compared(side(cases={"\x1b[2J": PASS}, target="\x1b[2J"), side(cases={"\x1b[2J": OK}))
        self.assertNotIn("\x1b", differences.text(found, LOG))


class Baselines(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def refused(self, text: str, words: str) -> None:
        path = self.folder / "here.toml"
        path.write_text(text, encoding="utf-8")
        with self.assertRaises(Malformed) as caught:
            baseline.load(path)
        self.assertRegex(str(caught.exception), rf"\A[^\n]*here\.toml: [^\n]*{words}[^\n]*\Z")

    def test_golden(self) -> None:
        sample.same_as_golden(self, "baseline.toml", baseline.text(of_run(sample.swept())))

    def test_what_is_none_is_named_in_one_line(self) -> None:
        text = baseline.text(Told.BEFORE)
        self.refused(text.replace("[epochs]", "[epoch]"), "epoch: unknown key")
        self.refused(text.replace("[passed]", "[passed"), "line")
        self.refused(text.replace('target = "here"', ""), "target: missing")

    def test_a_target_without_a_name_for_a_file(self) -> None:
        self.assertEqual(baseline.path_of("../linux/vm", self.folder).parent, self.folder)

    def test_a_name_is_kept_whatever_it_holds(self) -> None:
        path = self.folder / "odd.toml"
        path.write_text(baseline.text(side(target='q"\\ü𝄞', release="\x7f", cases={"alone": PASS})), encoding="utf-8")
        back = baseline.load(path)
        self.assertEqual((back.target, back.release, back.cases), ('q"\\ü𝄞', "\\x7f", {"alone": PASS}))


class Entries(unittest.TestCase):
    """Known deviations of a target, of a behaviour that is there, and of one answer."""

    DEVICE = "known_anomalies.device_not_compared.bound"

    def status(self, entry: Deviation, **meta: Any) -> str:
        run = sample.swept(known_deviations=(entry,), **meta)
        return next(case.status for case in run.cases if case.id == self.DEVICE)

    def test_of_a_target(self) -> None:
        entry = dataclasses.replace(sample.ENTRIES[0], epoch="", target="gvisor*", sweep=False)
        self.assertEqual(self.status(entry), "fail")
        self.assertEqual(self.status(entry, target=dataclasses.replace(sample.TARGET, name="gvisor-2024")), "known")

    def test_of_a_behaviour_that_is_there(self) -> None:
        entry = dataclasses.replace(sample.ENTRIES[0], epoch="!old_fault")
        for epochs, status in (({"old_fault": True}, "known"), ({"old_fault": False}, "fail"), ({}, "known")):
            self.assertEqual(self.status(entry, epochs=epochs), status)

    def test_of_one_answer(self) -> None:
        for answer, status in (("success", "known"), ("EADDRINUSE", "fail"), ("", "known")):
            self.assertEqual(self.status(dataclasses.replace(sample.ENTRIES[0], answer=answer)), status)

    def test_of_one_answer_and_no_other_beside_it(self) -> None:
        entry = dataclasses.replace(LACKING, answer="ok")
        for answers, excused in ((("ok",), True), (("ok", "EPERM"), False), ((), False), (None, True)):
            self.assertEqual(excuse((entry,), "here", {}, "known.udp", answers) is entry, excused)

    def test_what_they_contradict(self) -> None:
        there = dataclasses.replace(sample.TARGET, name="gvisor")
        of_target = dataclasses.replace(sample.ENTRIES[0], epoch="", target="gvisor*", sweep=False)
        present = dataclasses.replace(sample.ENTRIES[0], epoch="!old_fault", sweep=False)
        other = sample.ENTRIES[1]
        counts = {other.cause: 1}
        lost = {"cases": ("no.such",)}
        passes = {self.DEVICE: "pass"}
        for entry, answers, met, meta, kinds in [
                (of_target, {}, counts, {"target": there}, []),
                (of_target, passes, counts, {"target": there}, ["passed"]),
                (dataclasses.replace(of_target, **lost), passes, counts, {"target": there}, ["unmatched"]),
                (dataclasses.replace(of_target, **lost), passes, counts, {}, []),
                (of_target, passes, counts | {of_target.cause: 1}, {}, ["unlisted"]),
                (present, {}, counts, {"epochs": {"old_fault": True, other.epoch: False}}, []),
                (present, passes, counts, {"epochs": {"old_fault": True, other.epoch: False}}, ["passed"]),
                (present, passes, counts, {"epochs": {"old_fault": False, other.epoch: False}}, [])]:
            run = sample.swept(sample.sweep(answers, met), known_deviations=(entry, other), **meta)
            self.assertEqual([found.kind for found in discrepancies(run)], kinds, f"{entry} {answers}")

    def test_why_a_failure_is_not_known(self) -> None:
        for changes, epochs, words in [
                ({"answer": "EPERM"}, {}, "device_not_compared, but for EPERM only"),
                ({"epoch": "!old_fault"}, {"old_fault": False}, "this kernel lacks old_fault, whose presence causes"),
                ({"epoch": "", "target": "gvisor*"}, {}, "")]:
            entry = dataclasses.replace(sample.ENTRIES[0], **changes)
            text = report.failures(sample.swept(known_deviations=(entry,), epochs=epochs), Listing((), ()), LOG)
            self.assertIn(words, " ".join(text.split()))
            self.assertEqual("  known " in text, bool(words))

    def test_a_file_with_an_epoch_or_a_target(self) -> None:
        entry = '[[deviation]]\ncause = "odd"\nsays = "It is."\ncases = ["a.*"]\nblame = "suite"\nreference = "no"\n'
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "known_deviations.toml"
            for text, words in [("", "one of the two"), ('epoch = "a"\ntarget = "b"', "one of the two"),
                                ('epoch = "! a"', "no epoch's name"), ('epoch = "!a"', ""), ('target = "b*"', "")]:
                path.write_text(entry + text)
                if words:
                    self.assertRaisesRegex(Malformed, words, load, path)
                else:
                    self.assertEqual(load(path)[0].cause, "odd")

    def test_one_answer_in_every_attempt(self) -> None:
        made = sample.sweep()
        made.start(self.DEVICE, 2)
        made.end(self.DEVICE, 2, "fail", failures=[{"file": "a.cc", "line": 1, "message": "  Actual: EPERM"}])
        made.exits[self.DEVICE, 2] = ProcessEnd("Failed", "")
        entry = dataclasses.replace(sample.ENTRIES[0], answer="success")
        self.assertEqual(sample.swept(made, known_deviations=(entry,)).cases[0].status, "fail")


if __name__ == "__main__":
    unittest.main()
