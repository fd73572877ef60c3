"""Which cases run, how often and in which order."""

import unittest

from driver import plan
from driver.stop import Exit, Stop
from results.claims import Case


def case(name: str, *labels: str) -> Case:
    return Case(name, name.title(), name.split(".")[0], "cases/x.cc", 1, claims=(), needs=(), labels=labels)


CASES = [case("tcp.a", "tcp"), case("tcp.b", "tcp", "v6"), case("udp.a", "udp"), case("udp.a.row", "udp", "v6")]


def ids(cases: list[Case]) -> list[str]:
    return [case.id for case in cases]


class Selection(unittest.TestCase):
    def test_nothing_asked_is_everything(self) -> None:
        self.assertEqual(plan.select(CASES, [], []), CASES)

    def test_globs_are_alternatives_and_keep_the_order_of_the_listing(self) -> None:
        self.assertEqual(ids(plan.select(CASES, ["udp.a", "tcp.?"], [])), ["tcp.a", "tcp.b", "udp.a"])
        self.assertEqual(ids(plan.select(CASES, ["*.a*"], [])), ["tcp.a", "udp.a", "udp.a.row"])

    def test_labels_are_alternatives_beside_globs(self) -> None:
        self.assertEqual(ids(plan.select(CASES, [], ["v6"])), ["tcp.b", "udp.a.row"])
        self.assertEqual(ids(plan.select(CASES, ["udp.*"], ["v6", "tcp"])), ["udp.a.row"])

    def test_case_matters(self) -> None:
        self.assert_nothing("no case matches", ["TCP.*"])

    def test_a_glob_without_a_match_is_an_error_even_beside_one_that_matches(self) -> None:
        self.assert_nothing("near are tcp.b", ["tcp.a", "tpc.b"])

    def test_a_misspelt_topic_is_mended_and_the_rest_kept(self) -> None:
        self.assert_nothing("near are tcp.*;", ["tpc.*"])
        self.assert_nothing("near are udp.a.row,", ["udp.a.raw"])

    def test_what_is_like_no_topic_has_no_neighbours(self) -> None:
        self.assert_nothing("'second_listener.*'; --list", ["second_listener.*"])

    def test_a_topic_is_told_how_to_be_a_glob(self) -> None:
        self.assert_nothing("'tcp.*'", ["tcp"])

    def test_an_unknown_label_names_those_there_are(self) -> None:
        self.assert_nothing("tcp, udp, v6", [], ["sctp"])

    def test_ids_and_labels_that_never_meet(self) -> None:
        self.assert_nothing("nothing is selected", ["tcp.a"], ["v6"])

    def assert_nothing(self, said: str, globs: list[str], labels: list[str] | None = None) -> None:
        with self.assertRaises(Stop) as caught:
            plan.select(CASES, globs, labels or [])
        self.assertEqual(caught.exception.code, Exit.NOTHING_SELECTED)
        self.assertIn(said, str(caught.exception))


class Order(unittest.TestCase):
    def names(self, repeat: int, seed: int | None) -> list[str]:
        return [attempt.name for attempt in plan.attempts(CASES[:2], repeat, seed)]

    def test_rounds_follow_each_other(self) -> None:
        self.assertEqual(self.names(2, None), ["tcp.a@1", "tcp.b@1", "tcp.a@2", "tcp.b@2"])

    def test_a_seed_gives_the_same_order_again(self) -> None:
        self.assertEqual(self.names(50, 7), self.names(50, 7))
        self.assertNotEqual(self.names(50, 7), self.names(50, 8))

    def test_each_round_is_whole_and_has_an_order_of_its_own(self) -> None:
        names = self.names(50, 7)
        rounds = [names[start : start + 2] for start in range(0, 100, 2)]
        for number, names_of_round in enumerate(rounds, 1):
            self.assertEqual(sorted(names_of_round), [f"tcp.a@{number}", f"tcp.b@{number}"])
        self.assertEqual({names_of_round[0][:5] for names_of_round in rounds}, {"tcp.a", "tcp.b"})

    def test_a_name_leads_back_to_its_attempt(self) -> None:
        for attempt in plan.attempts(CASES, 2, None):
            self.assertEqual(plan.key_of(attempt.name), (attempt.case.id, attempt.number))

    def test_batches_hold_everything_once(self) -> None:
        planned = plan.attempts(CASES, 2, None)
        self.assertEqual([len(batch) for batch in plan.batches(planned, 3)], [3, 3, 2])
        self.assertEqual([attempt for batch in plan.batches(planned, 3) for attempt in batch], planned)


if __name__ == "__main__":
    unittest.main()
