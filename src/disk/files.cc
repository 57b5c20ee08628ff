#include "disk/files.h"

#include "disk/rocks_files.h"

namespace bobbin::disk {

Files::Files(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Files::~Files() = default;

}  // namespace bobbin::disk
