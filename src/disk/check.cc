#include "disk/check.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "disk/layout_file.h"
#include "disk/manifest_file.h"
#include "disk/shard.h"
#include "disk/system_file.h"

namespace bobbin::disk {

namespace {

constexpr uint64_t kMemoryBytes = uint64_t{64} << 20;

class DirectoryCheck {
 public:
  DirectoryCheck(const std::string& path, const CheckProgress& progress) : progress_(progress) {
    report_.path = path;
  }

  Result<CheckReport> run() {
    if (auto locked = lock(); !locked) return base::fail(std::move(locked.error()));
    if (auto read = read_layout(); !read) return base::fail(std::move(read.error()));
    if (!report_.is_complete) return std::move(report_);
    read_clean_end();
    if (auto manifest = read_manifest(report_.path); !manifest) tell(std::move(manifest.error()));
    resources_ = std::make_shared<Resources>(kMemoryBytes, report_.shards);
    // One after the other: an old disk is read in one place at a time, and progress only grows.
    for (uint32_t number = 0; number < report_.shards; ++number)
      check_shard(number);
    return std::move(report_);
  }

 private:
  Result<void> lock() {
    const std::string path = report_.path + "/lock";
    std::error_code error;
    if (!std::filesystem::exists(path, error)) return {};
    auto taken = FileLock::take(path, true);
    if (!taken) return base::fail(std::move(taken.error()));
    lock_.emplace(std::move(*taken));
    return {};
  }

  /// Without the layout nothing else can be understood: that it is damaged is all there is to say.
  Result<void> read_layout() {
    const std::string path = report_.path + "/layout";
    auto text = read_file(path);
    if (!text) return base::fail(std::move(text.error()));
    if (!*text && !has_shards(report_.path))
      return base::fail(Error{ErrorKind::config, path, path + ": missing: this is no data directory"});
    if (!*text) {
      tell(Error{ErrorKind::corrupt, path,
                 path + ": missing, but there are shards: restore it from a backup"});
      return {};
    }
    auto layout = decode_layout(**text, path);
    if (!layout && layout.error().kind != ErrorKind::corrupt) return base::fail(std::move(layout.error()));
    if (!layout) {
      tell(std::move(layout.error()));
      return {};
    }
    report_.uuid = layout->uuid;
    report_.shards = layout->shards;
    report_.vbuckets = layout->vbuckets;
    report_.is_complete = layout->complete;
    return {};
  }

  void read_clean_end() {
    const auto text = read_file(report_.path + "/clean");
    if (text && *text) sequences_ = decode_clean_end(**text);
    if (sequences_ && sequences_->size() != report_.shards) sequences_.reset();
    report_.ended_cleanly = sequences_.has_value();
  }

  void check_shard(uint32_t number) {
    ShardOptions options;
    options.path = shard_path(report_.path, number);
    options.vbuckets = report_.vbuckets;
    options.read_only = true;
    options.resources = resources_;
    const auto shard = Shard::open(options);
    if (!shard) {
      ++report_.unreadable_shards;
      return tell(shard.error());
    }
    if (sequences_ && (*shard)->sequence() < (*sequences_)[number])
      tell(cut_off(options.path, (*sequences_)[number], (*shard)->sequence()));
    std::vector<Error> damaged;
    const auto verified = (*shard)->verify(
        [this](uint64_t done, uint64_t total) { report_progress(CheckStage::files, done, total); }, &damaged);
    if (!verified) damaged.push_back(verified.error());
    for (Error& error : damaged)
      tell(std::move(error));
    ContentCheck content = (*shard)->check_content(
        {number, report_.shards, report_.vbuckets},
        [this](uint64_t done, uint64_t total) { report_progress(CheckStage::documents, done, total); });
    report_.file_bytes += (*shard)->statistics().file_bytes;
    // What verifying has told of a file is not told again for each vbucket in it.
    std::erase_if(content.findings, [this](const Finding& finding) { return has_told(finding.where); });
    report_.content.add(content);
  }

  void report_progress(CheckStage stage, uint64_t done, uint64_t total) const {
    if (progress_) progress_(stage, done, total);
  }

  [[nodiscard]] bool has_told(const std::string& where) const {
    for (const Finding& finding : report_.content.findings) {
      if (finding.where == where) return true;
    }
    return false;
  }

  void tell(Error error) {
    report_.content.findings.push_back({error.kind, std::move(error.path), std::move(error.message)});
  }

  const CheckProgress& progress_;
  CheckReport report_;
  std::optional<FileLock> lock_;
  std::optional<std::vector<uint64_t>> sequences_;
  std::shared_ptr<Resources> resources_;
};

}  // namespace

Result<CheckReport> check_directory(const std::string& path, const CheckProgress& progress) {
  return DirectoryCheck(path, progress).run();
}

}  // namespace bobbin::disk
