"""The list of packages and the lines that install them."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from driver import packages
from driver.console import Console
from driver.packages import Package
from driver.stop import Exit, Stop
from kernels import sysroot

GCC = Package("build", "C++ compiler", "g++", "gcc-c++", command=("no-such-c++",))
NETLINK = Package("build", "netlink", "libnl-3-dev", "libnl3-devel", header="no/such.h")
ROUTE = Package("build", "links", "libnl-route-3-dev", "libnl3-devel", header="no/such/route.h")
LINT = Package("selftest", "lint", "shellcheck", "ShellCheck", command=("no-such-lint",))
UIDMAP = Package("rootless", "uids", "uidmap", "shadow-utils", command=("no-such-map",))

CROSS = tuple(f"cross-{architecture}" for architecture in sysroot.ARCHITECTURES)
QEMU = ("qemu-amd64", "qemu-arm64", "qemu-mipsel", "qemu-s390x")


class TheList(unittest.TestCase):
    def test_every_entry_has_one_probe_and_a_known_group(self) -> None:
        for package in packages.load():
            probes = [bool(package.command), bool(package.header), bool(package.module)]
            self.assertEqual(probes.count(True), 1, package)
            groups = ("build", "run", "rootless", "selftest", "browser", "kernels", "servers", "bench", "slurm", *CROSS,
                      *QEMU)
            self.assertIn(package.group, groups)

    def test_the_page_on_containers_names_those_that_an_image_needs(self) -> None:
        words = (packages.LIST.parents[1] / "docs" / "containers.md").read_text().split()
        needed = {package.apt for package in packages.load() if package.group in ("build", "run", "rootless")}
        self.assertEqual(needed - {*words}, set())


class Lines(unittest.TestCase):
    def test_apt(self) -> None:
        self.assertEqual(
            packages.install_command([GCC, NETLINK, ROUTE], "apt"),
            ["apt-get", "install", "-y", "--no-install-recommends", "g++", "libnl-3-dev", "libnl-route-3-dev"],
        )

    def test_dnf_names_each_package_once(self) -> None:
        self.assertEqual(
            packages.install_command([GCC, NETLINK, ROUTE], "dnf"), ["dnf", "install", "-y", "gcc-c++", "libnl3-devel"]
        )

    def test_advice_is_one_line_that_can_be_run_as_it_stands(self) -> None:
        self.assertEqual(
            packages.advice([GCC], "apt"),
            "missing: no-such-c++ (C++ compiler); run: sudo apt-get update && sudo apt-get install -y "
            "--no-install-recommends g++   or: sudo ./run_all.sh --install-deps",
        )
        self.assertIn("run: sudo dnf install -y ShellCheck ", packages.advice([LINT], "dnf"))
        self.assertIn("sudo ./run_all.sh --self-test --install-deps", packages.advice([LINT], "dnf"))

    def test_another_distribution_is_told_what_not_how(self) -> None:
        self.assertIn("no-such-c++ (C++ compiler)", packages.advice([GCC], None))


class Probes(unittest.TestCase):
    def test_a_header_built_by_hand_counts(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "include", "no").mkdir(parents=True)
            Path(folder, "include", "no", "such.h").touch()
            self.assertFalse(NETLINK.present())
            with mock.patch.dict(os.environ, CMAKE_PREFIX_PATH=folder):
                self.assertTrue(NETLINK.present())
            with mock.patch.dict(os.environ, CPATH=f"{folder}/include"):
                self.assertTrue(NETLINK.present())

    def test_a_command_is_looked_for_in_path(self) -> None:
        self.assertTrue(Package("build", "", "", "", command=("no-such", "sh")).present())
        self.assertFalse(GCC.present())


class Demand(unittest.TestCase):
    def setUp(self) -> None:
        self.installed: list[list[str]] = []
        for name, value in {
            "load": lambda: [GCC, LINT, UIDMAP],
            "manager": lambda: "apt",
            "_install": lambda console, command, of: self.installed.append(command),
        }.items():
            self.enterContext(mock.patch.object(packages, name, value))

    def stop(self, groups: list[str], install: bool, uid: int) -> str:
        with mock.patch.object(os, "geteuid", lambda: uid), self.assertRaises(Stop) as caught:
            packages.demand(Console(), groups, install)
        self.assertEqual(caught.exception.code, Exit.CANNOT_RUN)
        return str(caught.exception)

    def test_nothing_is_installed_unasked(self) -> None:
        line = self.stop(["build"], install=False, uid=0)
        self.assertEqual(self.installed, [])
        self.assertTrue(line.startswith("missing: no-such-c++"), line)
        self.assertNotIn("uidmap", line)

    def test_only_root_installs(self) -> None:
        self.assertIn("needs root", self.stop(["build"], install=True, uid=1000))
        self.assertEqual(self.installed, [])

    def test_what_is_still_missing_afterwards_ends_the_command(self) -> None:
        self.assertIn("and yet", self.stop(["build"], install=True, uid=0))
        self.assertEqual(self.installed[0][-2:], ["g++", "uidmap"])

    def test_servers_are_installed_only_by_name(self) -> None:
        nginx = Package("servers", "web server", "nginx", "nginx", command=("no-such-nginx",), service="nginx")
        with mock.patch.object(packages, "load", lambda: [GCC, nginx]):
            self.stop(["build"], install=True, uid=0)
            self.assertNotIn("nginx", self.installed[-1])
            self.assertIn("run: sudo ./run_all.sh --install-deps=servers", self.stop(["servers"], install=True, uid=1000))

    def test_no_server_starts_when_it_is_installed(self) -> None:
        nginx = Package("servers", "web server", "nginx", "nginx", command=("no-such-nginx",), service="no-such-unit")
        answers: list[int] = []

        def install(console: Console, command: list[str], of: str) -> None:
            answers.append(subprocess.run([packages.POLICY]).returncode)

        for before in (None, "#!/bin/sh\nexit 0\n"):
            with self.subTest(before=before), tempfile.TemporaryDirectory() as folder:
                policy = Path(folder, "policy-rc.d")
                if before:
                    policy.write_text(before)
                with mock.patch.object(packages, "load", lambda: [nginx]), mock.patch.object(
                    packages, "POLICY", policy
                ), mock.patch.object(packages, "_install", install):
                    self.stop(["servers"], install=True, uid=0)
                self.assertEqual(answers[-1], 101)
                self.assertEqual(policy.read_text() if policy.exists() else None, before)
                self.assertEqual(list(Path(folder).iterdir()), [policy] if before else [])

    def test_other_groups_are_not_demanded(self) -> None:
        packages.demand(Console(), [], install=False)


if __name__ == "__main__":
    unittest.main()
