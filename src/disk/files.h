#pragma once

#include <memory>

namespace bobbin::disk {

/// The files that shards lie in: those of the system, unless a test puts something between (faulty_files.h).
/// Any thread. Outlives every shard that was opened with it.
class Files {
 public:
  struct Impl;

  virtual ~Files();
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  [[nodiscard]] Impl& impl() noexcept { return *impl_; }

 protected:
  explicit Files(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace bobbin::disk
