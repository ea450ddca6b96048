"""Proves that every patch of `tests/broken` still fits the engine, before `make broken` builds anything."""

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PATCHES = sorted((ROOT / "tests" / "broken").glob("*.patch"))


class Broken(unittest.TestCase):
    def test_there_are_patches(self):
        self.assertTrue(PATCHES)

    def test_every_patch_applies_without_fuzz_and_names_its_row(self):
        for patch in PATCHES:
            with self.subTest(patch=patch.name), tempfile.TemporaryDirectory() as folder:
                text = patch.read_text()
                self.assertRegex(text, r"(?m)^# row: \S", f"{patch.name} names no row")
                named = re.findall(r"(?m)^--- a/(\S+)", text)
                self.assertTrue(named, f"{patch.name} names no file")
                for name in named:
                    self.assertTrue((ROOT / name).is_file(), f"{patch.name}: there is no {name}")
                    copy = Path(folder, name)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(ROOT / name, copy)
                command = ["patch", "-F0", "--dry-run", "--force", "-p1", "-d", folder, "-i", str(patch)]
                done = subprocess.run(command, capture_output=True, text=True)
                self.assertEqual(0, done.returncode, f"{patch.name} does not apply:\n{done.stdout}{done.stderr}")
