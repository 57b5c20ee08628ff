#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

/// Runs a fuzz target over the files and folders that are named, and over every beginning of each: without
/// libFuzzer, so any compiler can. Fails when there was nothing to run; the target itself aborts on a
/// finding.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

/// Beyond this many bytes only every stride-th beginning is tried, which bounds the run.
constexpr size_t kMaxBeginnings = 512;

void run_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const size_t stride = bytes.size() / kMaxBeginnings + 1;
  for (size_t size = 0; size < bytes.size(); size += stride) {
    // A copy of its own: a read beyond the end is then one that sanitizers see.
    const std::vector<uint8_t> beginning(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    LLVMFuzzerTestOneInput(beginning.data(), beginning.size());
  }
  const std::vector<uint8_t> all(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(all.data(), all.size());
}

}  // namespace

int main(int argc, char** argv) {
  size_t files = 0;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path path(argv[i]);
    if (std::filesystem::is_directory(path)) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
        if (!entry.is_regular_file()) continue;
        run_file(entry.path());
        ++files;
      }
    } else if (std::filesystem::is_regular_file(path)) {
      run_file(path);
      ++files;
    }
  }
  std::printf("%zu files\n", files);
  return files == 0 ? 1 : 0;
}
