// What a session has others do for it, and the answers when they are there.

#include <atomic>
#include <utility>

#include "serve/binary_commands.h"
#include "serve/session.h"
#include "wire/datatype.h"

namespace bobbin::serve {

std::shared_ptr<feed::Awaited> Session::await_feed() {
  auto awaited = std::make_shared<feed::Awaited>();
  if (unordered_ == nullptr || !unordered_->may_reorder) return awaited_ = std::move(awaited);
  return unordered_->scans.emplace_back(std::move(awaited));
}

void Session::forget_feed() noexcept {
  if (awaited_ == nullptr && unordered_ != nullptr && !unordered_->scans.empty())
    unordered_->scans.pop_back();
  awaited_.reset();
}

void Session::run_aside(const wire::BinaryHeader& request,
                        std::function<AsideAnswer(const ServedBucket&)> work) {
  post(engine_.errands, request, Unordered::Errand::Kind::answer,
       [served = served_, work = std::move(work)]() mutable {
         AsideAnswer answer = work(*served);
         // Whoever removes the bucket waits for this, and it may go here.
         served.reset();
         return answer;
       });
}

void Session::log_in_aside(const wire::BinaryHeader& request, std::function<AsideAnswer()> check) {
  post(engine_.login_checks, request, Unordered::Errand::Kind::login, std::move(check));
}

void Session::post(base::Worker& worker, const wire::BinaryHeader& request, Unordered::Errand::Kind kind,
                   std::function<AsideAnswer()> work) {
  auto errand = std::make_shared<Unordered::Errand>(connection_->spool(), request, kind,
                                                    client_ == nullptr ? 0 : client_->received_ns);
  const bool posted = worker.post([errand, work = std::move(work)] {
    // Who asks and leaves would keep those waiting who want to come in.
    const bool is_missed = errand->kind == Unordered::Errand::Kind::login && errand->spool.closed();
    if (!is_missed) errand->answer = work();
    errand->has_come.store(true, std::memory_order_release);
    errand->spool.resume();
  });
  if (!posted) return reply_binary_error(*this, request, wire::BinaryStatus::temporary_failure);
  if (errand->has_come.load(std::memory_order_acquire)) return answer_errand(*errand);
  if (unordered_ != nullptr && unordered_->may_reorder && unordered_->has_room_aside(0)) {
    unordered_->errands.push_back(std::move(errand));
    return;
  }
  errand_ = errand.get();
  awaited_ = std::move(errand);
}

bool Session::take_awaited() {
  if (awaited_ == nullptr) return true;
  if (!awaited_->has_come.load(std::memory_order_acquire)) return false;
  const auto kept = std::exchange(awaited_, nullptr);
  if (const auto* errand = std::exchange(errand_, nullptr); errand != nullptr) {
    now_ = engine_.clock.now();
    answer_errand(*errand);
  }
  return true;
}

void Session::answer_errand(const Unordered::Errand& errand) {
  const auto& [status, text] = errand.answer;
  if (status != wire::BinaryStatus::success) return reply_binary_error(*this, errand.request, status, text);
  if (errand.kind == Unordered::Errand::Kind::login) {
    log_in(text);
    return answer_value(*this, errand.request, client_ == nullptr ? "Authenticated" : "");
  }
  if (text.empty()) return answer_success(*this, errand.request);
  answer_value(*this, errand.request, text,
               {.datatype = has(wire::Feature::json) ? wire::kDatatypeJson : uint8_t{0}});
}

}  // namespace bobbin::serve
