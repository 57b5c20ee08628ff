#include "net/connection.h"

#include <algorithm>

#include "net/loop.h"

namespace bobbin::net {

Connection::Connection(Loop& loop, uint64_t id)
    : loop_(loop), id_(id), max_unsent_bytes_(loop.limits().max_unsent_bytes), out_(&loop.shared_output_) {}

Connection::~Connection() = default;

void Connection::assert_owner() const noexcept {
  loop_.assert_owner();
}

void Connection::divert(Output* elsewhere) noexcept {
  assert_owner();
  out_ = elsewhere != nullptr     ? elsewhere
         : own_output_ != nullptr ? own_output_.get()
                                  : &loop_.shared_output_;
}

void Connection::limit_unsent(size_t bytes) noexcept {
  assert_owner();
  max_unsent_bytes_ = std::min(bytes, loop_.limits().max_unsent_bytes);
}

Spool Connection::spool() {
  assert_owner();
  if (spool_state_ == nullptr) {
    spool_state_ = std::make_shared<SpoolState>(loop_, *this, loop_.limits().spool_bytes);
  }
  return Spool(spool_state_);
}

}  // namespace bobbin::net
