#pragma once

// The one place where Asio's types are named for the .cc files of this folder.

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include "net/loop.h"

namespace bobbin::net {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using Executor = asio::io_context::executor_type;
using StreamSocket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;

struct Loop::Io {
  // Sockets are used by the loop's thread alone, so the reactor needs no locks for them; posting from other
  // threads keeps its own.
  asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  asio::executor_work_guard<Executor> work{context.get_executor()};
};

}  // namespace bobbin::net
