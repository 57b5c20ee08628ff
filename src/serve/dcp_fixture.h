#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "serve/stream_client.h"

namespace bobbin::serve {

/// Change streams over a socket of a server with a disk. For tests only.
class DcpTest : public testing::Test {
 protected:
  StreamClient client(uint32_t flags = wire::dcp_open_flags::kProducer,
                      const std::vector<wire::Feature>& features = StreamClient::all_features()) {
    StreamClient consumer(server_->addresses()[0], features);
    EXPECT_EQ(consumer.open(flags), wire::BinaryStatus::success);
    return consumer;
  }
  // The next messages, in a few characters each.
  static std::string next(StreamClient& consumer, int messages) {
    std::string text;
    for (int i = 0; i < messages; ++i) {
      const auto received = consumer.next();
      text += (i == 0 ? "" : ", ") + (received == nullptr ? "nothing" : text_of(received->message));
    }
    return text;
  }
  uint16_t vbucket_of(std::string_view key) { return server_.bucket().vbucket_of(key); }
  // Keys of one vbucket.
  std::vector<std::string> keys(size_t count) {
    std::vector<std::string> found;
    for (int i = 0; found.size() < count; ++i) {
      std::string key = "k" + std::to_string(i);
      if (vbucket_of(key) == 0) found.push_back(std::move(key));
    }
    return found;
  }
  static wire::DcpStreamRequest from(uint64_t uuid, uint64_t seqno, uint32_t flags = 0) {
    wire::DcpStreamRequest request;
    request.flags = flags;
    request.uuid = uuid;
    request.start_seqno = request.snapshot_start = request.snapshot_end = seqno;
    return request;
  }
  static wire::DcpStreamRequest filtered(std::string_view filter) {
    wire::DcpStreamRequest request;
    request.filter = filter;
    return request;
  }

  StreamServer server_;
  const std::vector<std::string> k_ = keys(10);
};

}  // namespace bobbin::serve
