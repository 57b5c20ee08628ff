"""The pages that are made from the program are as the program would make them now."""

import os
import unittest

import program


class Pages(unittest.TestCase):
    maxDiff = None

    def assert_current(self, page, *words):
        code, out, err = program.run(*words)
        self.assertEqual((code, err), (0, b""))
        with open(os.path.join(program.ROOT, "docs", page), encoding="utf-8") as file:
            self.assertMultiLineEqual(
                file.read(), out.decode(), f"renew it with: bobbin {' '.join(words)} > docs/{page}"
            )

    def test_configuration(self):
        self.assert_current("configuration.md", "serve", "--help-markdown")

    def test_commands(self):
        self.assert_current("commands.md", "--help-markdown")


if __name__ == "__main__":
    unittest.main()
