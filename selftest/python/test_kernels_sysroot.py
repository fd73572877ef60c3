"""The libraries of other architectures: complete or absent, and agreed upon by presets, packages and driver."""

import json
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from driver import build, packages
from driver.arguments import ROOT
from driver.stop import Stop
from kernels import apt, sysroot
from kernels.catalogue import Kernel, NoKernel, here


class AnArchive:
    """apt.download and dpkg-deb in memory; from its `fails_at`th package on it has no more."""

    def __init__(self, fails_at: int = 99) -> None:
        self.fails_at, self.downloads = fails_at, 0

    def download(self, wanted: Kernel, state: Path, into: Path, say: object) -> list[apt.Package]:
        self.downloads += 1
        return [apt.Package(into / name, f"{name}=1.0", "00") for name in wanted.packages]

    def run(self, *command: str | Path) -> str:
        _, _, deb, into = command
        name = Path(deb).name
        if sysroot.PACKAGES.index(name) >= self.fails_at:
            raise NoKernel(f"{name} is damaged")
        Path(into, name).touch()
        return ""


class TheFolder(unittest.TestCase):
    def setUp(self) -> None:
        cache = tempfile.TemporaryDirectory()
        self.addCleanup(cache.cleanup)
        self.enterContext(mock.patch.dict(os.environ, PORTSHARE_CACHE=cache.name))

    def made(self, archive: AnArchive) -> Path:
        with mock.patch("kernels.apt.download", archive.download), mock.patch("kernels.unpack.run", archive.run):
            return sysroot.sysroot("mipsel", lambda line: None)

    def test_is_made_once_and_holds_every_package(self) -> None:
        archive = AnArchive()
        folder = self.made(archive)
        self.assertEqual(self.made(archive), folder)
        self.assertEqual(archive.downloads, 1)
        self.assertEqual({path.name for path in folder.iterdir()}, {*sysroot.PACKAGES, sysroot.MADE_OF})

    def test_is_absent_where_it_cannot_be_complete(self) -> None:
        with self.assertRaisesRegex(NoKernel, "libnl-3-dev is damaged"):
            self.made(AnArchive(fails_at=3))
        self.assertEqual([path.name for path in sysroot.folder("mipsel").parent.iterdir()], [".mipsel.lock"])

    def test_of_other_packages_is_made_anew(self) -> None:
        archive = AnArchive()
        folder = self.made(archive)
        (folder / "old").touch()
        (folder / sysroot.MADE_OF).write_text("libgtest-dev=1.0 00\n")
        self.assertFalse((self.made(archive) / "old").exists())
        self.assertEqual(archive.downloads, 2)

    def test_a_folder_that_a_killed_run_left_goes(self) -> None:
        left = sysroot.folder("mipsel").with_name(".mipsel.making-left")
        left.mkdir(parents=True)
        self.made(AnArchive())
        self.assertFalse(left.exists())

    def test_another_architecture_is_refused_by_name(self) -> None:
        with self.assertRaisesRegex(NoKernel, "not built for riscv64, only for arm64, mipsel, s390x"):
            sysroot.sysroot("riscv64", lambda line: None)


class EachArchitecture(unittest.TestCase):
    def test_has_a_preset_whose_compiler_is_in_the_list_of_packages(self) -> None:
        presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
        cross = [preset for preset in presets if preset.get("inherits") == "cross"]
        triplets = {preset["name"]: preset["cacheVariables"]["PORTSHARE_TRIPLET"] for preset in cross}
        compilers = {p.group: p.command for p in packages.load() if p.group.startswith("cross-")}
        self.assertEqual(sorted(triplets), sorted(sysroot.ARCHITECTURES))
        self.assertEqual(compilers, {f"cross-{name}": (f"{triplet}-g++",) for name, triplet in triplets.items()})


class TheDriver(unittest.TestCase):
    def built(self, architecture: str) -> tuple[mock.Mock, list[str]]:
        """What build() was asked, and the groups of packages that were demanded, in their order."""
        options = mock.Mock(build_dir=Path("/b"), install_deps=False)
        with (
            mock.patch("driver.build.build") as asked,
            mock.patch("driver.packages.demand") as demand,
            mock.patch("kernels.sysroot.sysroot", return_value=Path("/s")),
        ):
            self.programs = build.guest_programs(architecture, options, mock.Mock())
        return asked, [group for call in demand.call_args_list for group in call.args[1]]

    def test_builds_for_this_machine_beside_the_usual_programs(self) -> None:
        asked, groups = self.built(here())
        self.assertEqual(asked.call_args.args[:2], (Path("/b"), "default"))
        self.assertEqual(self.programs.cases, Path("/b/portshare_cases_static"))
        self.assertEqual(groups, ["build"])

    def test_builds_for_another_machine_in_a_folder_of_its_own(self) -> None:
        asked, groups = self.built("s390x" if here() != "s390x" else "arm64")
        self.assertEqual(asked.call_args.args[0], self.programs.explorer.parent)
        self.assertEqual(asked.call_args.args[4], ("-DPORTSHARE_SYSROOT=/s",))
        self.assertEqual(groups, ["build", "kernels", f"cross-{asked.call_args.args[1]}"])

    def test_stops_with_the_reason_where_there_are_no_libraries(self) -> None:
        with mock.patch("driver.packages.demand"), self.assertRaisesRegex(Stop, "not built for riscv64"):
            build.guest_programs("riscv64", mock.Mock(build_dir=Path("/b")), mock.Mock())
