#include "serve/stat_command.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <utility>

#include "serve/session.h"
#include "serve/stat_groups.h"
#include "serve/stat_task.h"
#include "serve/text_commands.h"

namespace bobbin::serve {
namespace {

using wire::BinaryHeader;
using wire::BinaryStatus;

// More vbuckets than these are told of by a task.
constexpr uint32_t kVBucketsAtOnce = 64;

bool is_for_task(const Session& session, const NamedStatGroup& asked) {
  if (session.engine().feeds == nullptr) return false;
  if (asked.group->reads_disk) return true;
  return asked.group->of_vbucket != nullptr && asked.argument.empty() &&
         session.bucket().vbucket_count() > kVBucketsAtOnce;
}

// False: the bucket is being removed.
bool spawn(Session& session, const NamedStatGroup& asked, decltype(StatTaskSetup::append) append,
           std::string end, decltype(StatTaskSetup::refusal) refusal) {
  auto keeper = session.keep_bucket();
  if (keeper == nullptr) return false;
  session.engine().feeds->spawn(
      std::make_shared<StatTask>(StatTaskSetup{.group = *asked.group,
                                               .engine = session.engine(),
                                               .bucket = session.served(),
                                               .argument = std::string(asked.argument),
                                               .keeper = std::move(keeper),
                                               .spool = session.connection().spool(),
                                               .awaited = session.await_feed(),
                                               .append = std::move(append),
                                               .end = std::move(end),
                                               .refusal = std::move(refusal)}));
  return true;
}

// On the loop, with its time; told of by `stat-timings`.
StatAnswer report_timed(const StatGroup& group, const StatQuery& query, const StatSink& sink) {
  const auto began = std::chrono::steady_clock::now();
  const StatAnswer answer = report_group(group, query, sink);
  if (answer.kind == StatAnswer::told)
    query.engine.stat_times.add(group.name, std::chrono::steady_clock::now() - began);
  return answer;
}

BinaryStatus status_of(StatAnswer::Kind kind) {
  switch (kind) {
    case StatAnswer::told:
      return BinaryStatus::success;
    case StatAnswer::unknown:
      return BinaryStatus::key_not_found;
    case StatAnswer::invalid:
      return BinaryStatus::invalid_arguments;
    case StatAnswer::blocked:
      break;
  }
  return BinaryStatus::temporary_failure;
}

StatQuery query_of(Session& session, std::string_view argument) {
  return {.engine = session.engine(),
          .bucket = session.served(),
          .argument = argument,
          .connection = session.id(),
          .sees_server = session.may(kServerStats)};
}

// A value of several lines is told in as many.
template <typename Tell>
void for_each_line(std::string_view value, Tell tell_line) {
  for (size_t end = value.find('\n'); end != std::string_view::npos; end = value.find('\n')) {
    tell_line(value.substr(0, end));
    value.remove_prefix(end + 1);
  }
  tell_line(value);
}

void append_line(std::string& out, std::string_view name, std::string_view value) {
  const size_t before = out.size();
  out.resize(before + wire::stat_line_bytes(name, value));
  out.resize(before + wire::write_stat_line(out.data() + before, name, value));
}

// Replies to STAT as another thread makes them: with the time that they took, where that was asked for.
class FrameWriter {
 public:
  FrameWriter(const Session& session, const BinaryHeader& request)
      : request_(request),
        clock_(session.engine().clock),
        received_ns_(session.client() == nullptr ? 0 : session.client()->received_ns) {}

  void operator()(std::string& out, std::string_view name, std::string_view value,
                  BinaryStatus status = BinaryStatus::success) const {
    wire::BinaryReply reply{
        .status = status, .key = name, .value_bytes = static_cast<uint32_t>(value.size())};
    std::array<char, wire::kTraceBytes> trace{};
    if (received_ns_ != 0) {
      const uint64_t now = clock_.now().unix_ns;
      trace = wire::trace_of((now - std::min(now, received_ns_)) / 1000);
      reply.framing = {trace.data(), trace.size()};
    }
    const size_t before = out.size();
    out.resize(before + wire::kBinaryHeaderBytes + reply.framing.size() + name.size());
    out.resize(before + wire::write_binary_head(out.data() + before, request_, reply));
    out += value;
  }

 private:
  const BinaryHeader request_;
  const base::Clock& clock_;
  const uint64_t received_ns_;
};

}  // namespace

void handle_text_stats(Session& session, const wire::TextRequest& request) {
  wire::Words words(request.words);
  const std::string_view name = words.next();
  std::string_view argument = words.rest();
  argument.remove_prefix(std::min(argument.find_first_not_of(' '), argument.size()));
  argument = argument.substr(0, argument.find_last_not_of(' ') + 1);
  NamedStatGroup asked = find_stat_group(name);
  if (asked.group == nullptr || !session.may(asked.group->needs)) return session.reply(wire::kError);
  // As memcached, which looks at no word behind.
  if (!asked.group->argument.empty()) asked.argument = argument;
  if (is_for_task(session, asked)) {
    const auto refusal = [](StatAnswer::Kind) { return std::string(wire::kError); };
    if (!spawn(session, asked, append_line, std::string(wire::kEnd), refusal)) session.reply(wire::kError);
    return;
  }
  const StatAnswer answer = report_timed(
      *asked.group, query_of(session, asked.argument), [&](std::string_view stat, std::string_view value) {
        for_each_line(value, [&](std::string_view one) {
          char* line = session.out().reserve(wire::stat_line_bytes(stat, one));
          session.out().commit(wire::write_stat_line(line, stat, one));
        });
      });
  if (answer.kind == StatAnswer::blocked && session.retry_after_reading(answer.key)) return;
  if (answer.kind != StatAnswer::told) return session.reply(wire::kError);
  session.reply(name == "reset" ? wire::kReset : wire::kEnd);
}

void handle_binary_stat(Session& session, const BinaryCommand&, const wire::BinaryRequest& request) {
  const auto refuse = [&](BinaryStatus status) { reply_binary_error(session, request.header, status); };
  const NamedStatGroup asked = find_stat_group(request.key);
  if (asked.group == nullptr) return refuse(BinaryStatus::key_not_found);
  if (!session.may(asked.group->needs)) return refuse(BinaryStatus::no_access);
  if (is_for_task(session, asked)) {
    const FrameWriter write(session, request.header);
    std::string end;
    write(end, {}, {});
    const auto append = [write](std::string& out, std::string_view name, std::string_view value) {
      write(out, name, value);
    };
    const auto refusal = [write](StatAnswer::Kind kind) {
      std::string reply;
      write(reply, {}, {}, status_of(kind));
      return reply;
    };
    if (!spawn(session, asked, append, std::move(end), refusal)) refuse(BinaryStatus::temporary_failure);
    return;
  }
  const auto send = [&](std::string_view name, std::string_view value) {
    answer_value(session, request.header, value, {.key = name});
  };
  const StatAnswer answer = report_timed(*asked.group, query_of(session, asked.argument), send);
  if (answer.kind == StatAnswer::told) return send({}, {});
  if (answer.kind == StatAnswer::blocked && session.retry_after_reading(answer.key)) return;
  refuse(status_of(answer.kind));
}

}  // namespace bobbin::serve
