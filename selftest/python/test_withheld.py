"""What a container withholds is skipped by a code of its own: no case fails for it, and none is an error."""
from __future__ import annotations

import json
import os
import subprocess
import tempfile
import unittest
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(os.environ.get("PORTSHARE_BUILD", ROOT / "build")) / "portshare_cases"
# Those that make use of more than a network.
FILTER = ("AutomaticPort*:ClientPort*:ConnectionTuple*:DeviceOption*:ForeignOwners*:HeldHandshake*:NonlocalAddresses*:"
          "OptionOnOtherSockets*:PassedDescriptors*:PrivilegedPorts*:ServerInstances*:Steering*:Vrf*")  # fmt: skip
LONGEST = 120  # seconds; some are usual

READ_ONLY = ("unshare", "--mount", "sh", "-ec", """
mount --make-rprivate /
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
exec "$@"
""", "sh")


def bounded(*words: str) -> tuple[str, ...]:
    """A command that has root's capabilities as far as these words leave them: setpriv(1)."""
    return "setpriv", f"--bounding-set={','.join(words)}", "--inh-caps=-all"


@unittest.skipIf(os.geteuid() != 0, "only root can be left with less")
@unittest.skipIf(not CASES.exists(), "portshare_cases is not built: ./run_all.sh --self-test builds it")
class Withheld(unittest.TestCase):
    def answers(self, *place: str) -> tuple[Counter[str], dict[str, set[str]]]:
        """How many cases were skipped for each code, and which have each other status, asked from this place."""
        skips: Counter[str] = Counter()
        others: dict[str, set[str]] = {}
        with tempfile.TemporaryDirectory() as folder:
            events = Path(folder, "events")
            ended = subprocess.run([*place, CASES, f"--gtest_filter={FILTER}", "--apart=15"], cwd=folder, timeout=LONGEST,
                                   env=os.environ | {"PORTSHARE_EVENTS": str(events)}, capture_output=True)  # fmt: skip
            if not events.exists():
                self.skipTest(f"this root cannot be left with less: {ended.stderr.decode(errors='replace')}")
            for line in events.read_text().splitlines():
                told = json.loads(line)
                if told["event"] == "end" and told["status"] == "skip":
                    skips[told["code"]] += 1
                elif told["event"] in ("end", "exit"):
                    others.setdefault(told.get("status", "exit"), set()).add(told["case"])
        return skips, others

    def skipped(self, *place: str) -> set[str]:
        """The codes of the skips that are met at this place only, where nothing else is answered otherwise."""
        here, answered_here = self.answers()
        there, answered_there = self.answers(*place)
        self.assertEqual(answered_there.keys() - answered_here.keys(), set(), answered_there)
        for status, cases in answered_there.items():
            self.assertEqual(cases - answered_here[status], set(), status)
        return {code for code in there if there[code] > here[code]}

    def test_read_only_sysctls(self) -> None:
        self.assertEqual(self.skipped(*READ_ONLY), {"no_sysctl"})

    def test_net_raw(self) -> None:
        self.assertEqual(self.skipped(*bounded("-net_raw")), {"no_net_raw", "no_packet_peer"})

    def test_all_but_the_two_that_make_a_network(self) -> None:
        self.assertEqual(
            self.skipped(*READ_ONLY, *bounded("-all", "+net_admin", "+sys_admin")),
            {"no_net_bind_service", "no_net_raw", "no_packet_peer", "no_reduced_child", "no_second_owner", "no_sysctl"})

    def test_those_that_make_a_network(self) -> None:
        """A user namespace has all of them, but for the programs that are the machine's to load."""
        codes = self.skipped(*bounded("-sys_admin"))
        self.assertLessEqual(codes, {"no_bpf", "no_sk_lookup", "no_sk_migrate", "no_sk_reuseport", "no_sockmap"})

    def test_root_itself(self) -> None:
        """One id that is not root's: a user namespace makes it root, and no more."""
        skips, others = self.answers("unshare", "--user", "--map-user=1000", "--map-group=1000")
        self.assertIn("no_second_owner", skips)
        self.assertIn("pass", others)
        self.assertEqual({"error", "exit"} & others.keys(), set(), others)

    def test_every_namespace(self) -> None:
        """Not one is asked in the machine's own network."""
        skips, others = self.answers("unshare", "--user", "--map-user=1000", *bounded("-all"))
        self.assertEqual((set(skips), others), ({"no_namespace"}, {}))


if __name__ == "__main__":
    unittest.main()
