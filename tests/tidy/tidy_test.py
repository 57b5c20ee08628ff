"""Each rule can fail: small trees that break one rule each, and the nearest ones that break none."""

import os
import tempfile
import unittest

import tidy
from functions import cpp_functions
from source_tree import SourceFile

# In pieces, so that the rules do not find them in this file.
MARKER = "TO" + "DO"
PRIVATE_PATH = "/wo" + "rk/main"
REGISTRY = "registry" + ".npm" + "js.org"


class TidyTest(unittest.TestCase):
    def findings(self, files):
        """(rule, path, line) of what tidy finds in a tree of these files: path to text."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return [(finding.rule, finding.path, finding.line) for finding in tidy.check(root)]

    def assert_found(self, rule, path, files, line=1):
        self.assertEqual(self.findings(files), [(rule, path, line)])

    def assert_clean(self, files):
        self.assertEqual(self.findings(files), [])

    def header(self, path, text):
        """A header, and a file that includes it."""
        included = path.removeprefix("src/")
        user = {"bench/user.cc": f'#include "{included}"\n', "bench/CMakeLists.txt": "f(user.cc)"}
        return {path: "#pragma once\n" + text, **user}

    def test_a_layer_includes_itself_and_those_before_it(self):
        self.assert_clean(self.header("src/wire/a.h", '#include "wire/b.h"\n#include "base/c.h"\n'))
        self.assert_clean(self.header("src/serve/a.h", '#include "disk/b.h"\n'))

    def test_a_layer_does_not_include_one_after_it(self):
        self.assert_found("layer-order", "src/wire/a.h", self.header("src/wire/a.h", '#include "store/b.h"\n'), 2)
        self.assert_found("layer-order", "src/feed/a.h", self.header("src/feed/a.h", '#include "serve/b.h"\n'), 2)

    def test_a_folder_of_src_is_a_layer(self):
        self.assert_found("layer-order", "src/tools/a.h", self.header("src/tools/a.h", ""))

    def test_socket_headers_stay_in_net(self):
        include = "#include <sys/socket.h>\n"
        self.assert_found("sockets-only-in-net", "src/serve/a.h", self.header("src/serve/a.h", include), 2)
        self.assert_clean(self.header("src/net/a.h", include))

    def test_socket_calls_stay_in_net(self):
        for call in ("::send(fd, p, n, 0)", "recv(fd, p, n, 0)", "epoll_ctl(e, 1, fd, &v)", "::connect(fd, a, n)",
                     "::setsockopt(fd, 1, 2, p, 4)", "::accept(fd, a, n)"):  # fmt: skip
            with self.subTest(call):
                files = self.header("src/serve/a.h", f"inline void f() {{ {call}; }}\n")
                self.assert_found("sockets-only-in-net", "src/serve/a.h", files, 2)

    def test_members_may_have_the_names_of_socket_calls(self):
        calls = "inline void f() { a.send(1); b->connect(); Client::connect(x); reply.recv(2); }\n"
        self.assert_clean(self.header("src/serve/a.h", calls))

    def test_asio_stays_in_net(self):
        include = "#include <boost/asio/ip/tcp.hpp>\n"
        self.assert_found("asio-only-in-net", "src/serve/a.h", self.header("src/serve/a.h", include), 2)
        self.assert_found("asio-only-in-net", "src/cli/a.h", self.header("src/cli/a.h", "boost::asio::x y;\n"), 2)
        self.assert_clean(self.header("src/net/a.h", include))

    def test_a_file_has_at_most_500_lines(self):
        self.assert_clean({"tests/a.py": "a = 1\n" * 500})
        self.assert_found("file-length", "tests/a.py", {"tests/a.py": "a = 1\n" * 501})
        self.assert_found("file-length", "src/net/a.h", self.header("src/net/a.h", "int a;\n" * 500))

    def function(self, lines):
        return "namespace x {\nvoid f(int a) {\n" + "  g();\n" * (lines - 2) + "}\n}  // namespace x\n"

    def test_a_function_has_at_most_80_lines(self):
        self.assert_clean(self.header("src/net/a.h", self.function(80)))
        self.assert_found("function-length", "src/net/a.h", self.header("src/net/a.h", self.function(81)), 3)

    def test_a_python_function_has_at_most_80_lines(self):
        self.assert_clean({"tests/a.py": "def f():\n" + "    g()\n" * 79})
        self.assert_found("function-length", "tests/a.py", {"tests/a.py": "def f():\n" + "    g()\n" * 80})

    def test_banned_calls(self):
        for call in ("strcpy(a, b)", "std::strcpy(a, b)", "sprintf(a, b)", "rand()", "std::system(a)", "atoi(a)"):
            with self.subTest(call):
                files = self.header("src/base/a.h", f"inline void f() {{ {call}; }}\n")
                self.assert_found("banned-calls", "src/base/a.h", files, 2)
        self.assert_clean(self.header("src/base/a.h", "// system(a)\ninline void f() { x.rand(); snprintf(a, b); }\n"))

    def test_new_has_an_owner(self):
        self.assert_found("raw-new", "src/base/a.h", self.header("src/base/a.h", "auto* a = new A(1);\n"), 2)
        owned = "auto a = std::unique_ptr<A>(new A(1));\nstd::unique_ptr<B> b(new B);\n"
        self.assert_clean(self.header("src/base/a.h", owned + 'auto* text = "a new A(1)";\n'))

    def test_only_the_command_line_throws(self):
        throwing = 'inline void f() { throw Error("x"); }\n'
        self.assert_found("throw-only-in-cli", "src/serve/a.h", self.header("src/serve/a.h", throwing), 2)
        self.assert_clean(self.header("src/cli/a.h", throwing))

    def test_left_over_markers(self):
        self.assert_found("left-over-markers", "docs/a.md", {"docs/a.md": f"x\n{MARKER}: y\n"}, 2)
        self.assert_clean({"docs/a.md": f"{MARKER}S {MARKER.lower()}\n"})

    def test_headers_have_pragma_once(self):
        self.assert_found("pragma-once", "src/base/a.h", {**self.header("src/base/a.h", ""), "src/base/a.h": "int a;\n"})

    def test_every_header_is_included(self):
        self.assert_found("dead-headers", "src/base/a.h", {"src/base/a.h": "#pragma once\n"})

    def test_every_source_is_built(self):
        files = {"src/base/a.cc": "", "src/base/CMakeLists.txt": "bobbin_layer(base\n  SOURCES b.cc)\n"}
        self.assert_found("built-sources", "src/base/a.cc", files)
        for text in ("f(base SOURCES a.cc)", "file(GLOB x ${CMAKE_CURRENT_SOURCE_DIR}/a*.cc)",
                     "foreach(name a b)\n f(${name}.cc)\nendforeach()"):  # fmt: skip
            with self.subTest(text):
                self.assert_clean({"src/base/a.cc": "", "src/base/CMakeLists.txt": text})
        self.assert_found("built-sources", "src/base/a.cc", {"src/base/a.cc": "", "src/base/CMakeLists.txt": "# a.cc"})

    def test_every_python_test_is_registered(self):
        self.assert_found("built-sources", "tests/x/a_test.py", {"tests/x/a_test.py": "", "tests/x/a.py": ""})
        self.assert_clean({"tests/x/a_test.py": "", "tests/x/CMakeLists.txt": "bobbin_python_test(a SCRIPT a_test.py)"})

    def test_documented_paths_exist(self):
        for text in ("see `net/loop.h`", "see `tests/x`", "see `serve/*_x.cc`", "see [this](other.md)",
                     "```\nscript/serve --port 1\n```"):  # fmt: skip
            with self.subTest(text):
                line = 2 if text.startswith("```") else 1
                self.assert_found("documented-paths", "README.md", {"README.md": text + "\n"}, line)

    def test_documented_paths_may_start_in_src_or_beside_the_document(self):
        self.assert_clean({
            **self.header("src/net/loop.h", ""),
            "docs/a.md": "`net/loop.h` `net/*.h` `src/net` `b.md` [b](b.md#part) `a/b` [c](https://example.com)\n",
            "docs/b.md": "```\nbobbin serve\nscript/x\n```\n",
            "script/x": "",
        })  # fmt: skip

    def test_documented_names_exist(self):
        code = self.header("src/net/a.h", "class Loop {\n  void post();\n};\n")
        self.assert_clean({**code, "README.md": "`Loop::post`\n"})
        self.assert_found("documented-names", "README.md", {**code, "README.md": "`Loop::send`\n"})

    def test_private_words(self):
        self.assert_found("private-words", "script/a", {"script/a": f"cd {PRIVATE_PATH}\n"})
        self.assert_found("private-words", "a.json", {"a.json": f'"https://{REGISTRY}/a.tgz"\n'})

    def test_an_exception_allows_one_rule_in_one_file(self):
        files = self.header("src/base/a.h", "auto* a = new A;\n")
        self.assert_clean({**files, tidy.EXCEPTIONS: "raw-new src/base/a.h because\n"})

    def test_an_exception_for_a_length_has_a_limit(self):
        files = {"tests/a.py": "a = 1\n" * 520}
        self.assert_clean({**files, tidy.EXCEPTIONS: "file-length tests/a.py=520 because\n"})
        files[tidy.EXCEPTIONS] = "file-length tests/a.py=519 because\n"
        self.assert_found("file-length", "tests/a.py", files)

    def test_an_exception_is_needed_and_has_a_reason(self):
        self.assert_found("exceptions", tidy.EXCEPTIONS, {tidy.EXCEPTIONS: "raw-new src/base/a.h because\n"})
        self.assert_found("exceptions", tidy.EXCEPTIONS, {tidy.EXCEPTIONS: "# list\n\nraw-new src/base/a.h\n"}, 3)

    def test_what_the_build_made_is_not_read(self):
        self.assert_clean({"build/a.md": MARKER, "tests/node_modules/a/a.md": MARKER, ".git/a.md": MARKER})


class FunctionsTest(unittest.TestCase):
    def names(self, text):
        return [name for name, _, _ in cpp_functions(SourceFile("a.cc", text).code)]

    def test_functions_are_found(self):
        self.assertEqual(self.names("int f() { return 1; }\nvoid A::g(int x) const noexcept { if (x) { h(); } }"),
                         ["f", "A::g"])  # fmt: skip
        self.assertEqual(self.names("class A final : public B {\n  A() : a_{1}, b_(2) { x(); }\n};"), ["A"])
        self.assertEqual(self.names("auto f(int a) -> std::vector<int> { return {a}; }"), ["f"])
        self.assertEqual(self.names("void f() REQUIRES(mutex_) { }"), ["f"])
        self.assertEqual(self.names("TEST(A, b) {\n  EXPECT_EQ(1, 1);\n}"), ["TEST"])

    def test_other_braces_are_not_functions(self):
        self.assertEqual(self.names("namespace a {\nstruct B { int c = {1}; };\nenum class D { e };\n}"), [])
        self.assertEqual(self.names("constexpr A kTable[] = {{1, 2}, {3, 4}};\nint x{5};"), [])
        self.assertEqual(self.names('const char* kText = "void f() {";\n// void g() {\n#define H(x) { x }\n'), [])

    def test_a_lambda_belongs_to_its_function(self):
        self.assertEqual(self.names("void f() { auto g = [](int a) { return a; }; g(1); }"), ["f"])


if __name__ == "__main__":
    unittest.main()
