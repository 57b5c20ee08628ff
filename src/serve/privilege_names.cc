#include "serve/privilege_names.h"

namespace bobbin::serve {
namespace {

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

// kv_engine's that are not told. Nothing here takes them, but for the first.
constexpr NamedPrivilege kOthers[] = {
    {kFlush | kManageBucket | kManageCollections | kManageServer, "Administrator"},
    {0, "Audit"},
    {0, "BucketThrottleManagement"},
    {0, "DcpConsumer"},
    {0, "IdleConnection"},
    {0, "NodeSupervisor"},
    {0, "RangeScan"},
    {0, "Settings"},
    {0, "SystemCollectionLookup"},
    {0, "SystemCollectionMutation"},
    {0, "SystemSettings"},
    {0, "Unmetered"},
    {0, "Unthrottled"},
};

}  // namespace

std::span<const NamedPrivilege> named_privileges() {
  return kNames;
}

std::optional<Privileges> privileges_of(std::string_view name) {
  for (const auto names : {std::span<const NamedPrivilege>(kNames), std::span<const NamedPrivilege>(kOthers)})
    for (const NamedPrivilege& named : names)
      if (named.name == name) return named.privilege;
  return std::nullopt;
}

}  // namespace bobbin::serve
