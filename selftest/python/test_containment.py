"""A case asks in a network of its own and leaves nothing behind: seen from a place where nothing else happens."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(os.environ.get("PORTSHARE_BUILD", ROOT / "build")) / "portshare_cases"
# Wildcards, devices, datagrams without a receiver, another owner's sockets, and processes of their own.
FILTER = "TcpWildcard*:Udp*:Device*:ForeignOwners*:Reload*:Handshake*"
LONGEST = 120  # seconds; some are usual
PORTS = (7777, 7778)  # those that cases bind

# In a network namespace that stands for the machine's.  Tells what arrived while the command ran, by the listeners on
# the cases' ports and by the kernel's counters of every packet; then it knocks itself, which has to be seen.
CANARY = r"""
import fcntl, json, pathlib, select, socket, struct, subprocess, sys
def counted():
    rows = [line.split() for line in pathlib.Path("/proc/net/dev").read_text().splitlines()[2:]]
    return {row[0]: [int(row[2]), int(row[10])] for row in rows if int(row[2]) or int(row[10])}
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING
listeners = []
for port in %r:
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            one = socket.socket(family, kind)
            if family == socket.AF_INET6: one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address, port))
            if kind == socket.SOCK_STREAM: one.listen()
            listeners.append(one)
before = counted()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
arrived = [str(one.getsockname()) for one in select.select(listeners, [], [], 0)[0]]
packets = counted()
socket.create_connection(("127.0.0.1", listeners[0].getsockname()[1])).close()
asked = code in (0, 1)  # 1 where this kernel deviates
seen = bool(select.select(listeners, [], [], 0)[0]) and counted() != packets
print(json.dumps(dict(asked=asked, before=before, arrived=arrived, packets=packets, seen=seen)))
""" % (PORTS,)

# Where every file is read-only but for those of three empty folders, of which it lists what is left.
SEALED = r"""
set -e
mount --make-rprivate /
for folder in /tmp /var/tmp /run /dev/shm; do
  if [ -d "$folder" ]; then mount -t tmpfs none "$folder"; fi
done
mount -o remount,bind,ro /
rm -rf /run/mount  # of mount(8)
"$@" >/dev/null || [ $? -eq 1 ]  # this kernel deviates
for folder in /tmp /var/tmp /run /dev/shm; do
  if [ -d "$folder" ]; then find "$folder" -mindepth 1; fi
done
"""


@unittest.skipIf(not CASES.exists(), "portshare_cases is not built: ./run_all.sh --self-test builds it")
class Containment(unittest.TestCase):
    def said(self, *command: str | Path) -> str:
        ended = subprocess.run(command, cwd=CASES.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               timeout=LONGEST)  # fmt: skip
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        return ended.stdout

    def test_no_packet_and_no_connection_leaves_the_network_of_a_case(self) -> None:
        unshare = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
        told = json.loads(self.said(*unshare, sys.executable, "-c", CANARY, CASES, f"--gtest_filter={FILTER}"))
        self.assertEqual(told, {"asked": True, "before": {}, "arrived": [], "packets": {}, "seen": True})

    @unittest.skipIf(os.geteuid() != 0, "mounting takes root")
    def test_no_file_is_written_or_left(self) -> None:
        # By the current folder: its path may lead through one of those that are covered.
        program = f"./{CASES.name}"
        left = self.said("unshare", "--mount", "sh", "-c", SEALED, "sh", program, f"--gtest_filter={FILTER}")
        self.assertEqual(left, "")


if __name__ == "__main__":
    unittest.main()
