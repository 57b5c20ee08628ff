#include "serve/access_context.h"

#include <string_view>

#include "serve/binary_commands.h"
#include "serve/session.h"

namespace bobbin::serve {
namespace {

struct NamedPrivilege {
  Privileges privilege;
  std::string_view name;  ///< kv_engine's, where it has this one
};

constexpr NamedPrivilege kNames[] = {
    {kRead, "Read"},
    {kInsert, "Insert"},
    {kUpsert, "Upsert"},
    {kDelete, "Delete"},
    {kMetaWrite, "MetaWrite"},
    {kSystemXattrRead, "SystemXattrRead"},
    {kSystemXattrWrite, "SystemXattrWrite"},
    {kDcpStream, "DcpStream"},
    {kDcpProducer, "DcpProducer"},
    {kBucketStats, "SimpleStats"},
    {kFlush, "Flush"},
    {kManageBucket, "BucketManagement"},
    {kManageCollections, "CollectionManagement"},
    {kServerStats, "Stats"},
    {kManageServer, "NodeManagement"},
    {kImpersonate, "Impersonate"},
};

const BinaryCommand* find_row(uint8_t opcode) {
  const BinaryCommand* found = nullptr;
  for_each_binary_command([&](const BinaryCommand& row) {
    if (static_cast<uint8_t>(row.opcode) == opcode && row.audience != Audience::memcached) found = &row;
  });
  return found;
}

}  // namespace

std::string access_context(Session& session, const wire::BinaryHeader& request) {
  std::string text = "Authorization failed";
  if (const BinaryCommand* const row = find_row(request.opcode); row != nullptr) {
    text.append(": ").append(row->name);
    std::string_view separator = " needs ";
    for (const NamedPrivilege& named : kNames) {
      if ((row->needs & named.privilege) == 0 || session.may(named.privilege)) continue;
      text.append(separator).append(named.name);
      separator = ", ";
    }
  }
  return R"({"error":{"context":")" + text + R"("}})";
}

}  // namespace bobbin::serve
