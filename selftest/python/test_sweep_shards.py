"""The parts of a sweep ask exactly what the whole asks, whatever the number of workers."""

import os
import re
import subprocess
import unittest
from pathlib import Path

EXPLORER = Path(os.environ.get("PORTSHARE_BUILD", "build")) / "portshare_explore"
FAMILIES = "explore.tcp.calls:explore.udp.other_port:explore.udp.option_round_trip"


def sweep(jobs: int, shards: int = 1, shard: int = 0) -> tuple[int, int]:
    """How many scenarios were asked, and the sum of their digests."""
    said = subprocess.run(
        [EXPLORER, "sweep", f"--jobs={jobs}", f"--only={FAMILIES}"],
        env=os.environ | {"GTEST_TOTAL_SHARDS": str(shards), "GTEST_SHARD_INDEX": str(shard)},
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    total = re.search(r"^total +([\d,]+)", said, re.MULTILINE)
    digest = re.search(r"^digest ([0-9a-f]+)$", said, re.MULTILINE)
    assert total and digest, said
    return int(total[1].replace(",", "")), int(digest[1], 16)


@unittest.skipUnless(EXPLORER.exists(), "portshare_explore is not built")
class Shards(unittest.TestCase):
    def test_the_parts_are_the_whole(self) -> None:
        whole = sweep(jobs=2)
        parts = [sweep(jobs=1 + shard % 2, shards=3, shard=shard) for shard in range(3)]
        self.assertEqual(whole, (sum(count for count, _ in parts), sum(digest for _, digest in parts) % 2**64))
        self.assertTrue(all(0 < count < whole[0] for count, _ in parts))


if __name__ == "__main__":
    unittest.main()
