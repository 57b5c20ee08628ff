// Buckets made, changed, emptied and removed over HTTP.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/admin_test_support.h"

namespace bobbin::admin {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class BucketChangesTest : public testing::Test {
 protected:
  std::string create(std::string_view more) {
    return http_.send("POST", buckets_, "name=b&bucketType=ephemeral" + std::string(more));
  }

  net::Loop loop_{net::Limits{}};
  TestHttp http_{loop_, uint64_t{1} << 30};
  const std::string buckets_ = "/pools/default/buckets";
};

TEST_F(BucketChangesTest, ABucketIsMadeShownChangedEmptiedAndRemoved) {
  EXPECT_THAT(create("&ramQuotaMB=100"), StartsWith("HTTP/1.1 202 "));
  const std::string shown = http_.get(buckets_ + "/b");
  for (const std::string_view part :
       {R"("name":"b")", R"("bucketType":"ephemeral")", R"("quota":{"ram":104857600,"rawRAM":104857600})",
        R"("evictionPolicy":"noEviction")", R"("replicaNumber":0)", R"("durabilityMinLevel":"none")"})
    EXPECT_THAT(shown, HasSubstr(std::string(part)));
  EXPECT_THAT(shown, Not(HasSubstr("doFlush")));
  EXPECT_THAT(http_.get(buckets_), HasSubstr(R"("name":"b")"));
  EXPECT_THAT(http_.get("/pools/default/b/b"), HasSubstr(R"("name":"b")"));

  EXPECT_EQ(body_of(http_.send("POST", buckets_ + "/b/controller/doFlush", "")),
            R"({"_":"Flush is disabled for the bucket"})");
  EXPECT_THAT(http_.send("POST", buckets_ + "/b", "flushEnabled=1&ramQuotaMB=120"),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.get(buckets_ + "/b"), HasSubstr(R"("controllers":{"flush":)"));
  EXPECT_THAT(http_.get(buckets_ + "/b"), HasSubstr(R"("rawRAM":125829120)"));
  EXPECT_THAT(http_.send("POST", buckets_ + "/b/controller/doFlush", ""), StartsWith("HTTP/1.1 200 "));

  EXPECT_THAT(http_.send("DELETE", buckets_ + "/b", ""), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.get(buckets_ + "/b"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(BucketChangesTest, WhatCannotBeIsSaidInTheWordsThatClientsLookFor) {
  (void)create("&ramQuotaMB=100");
  EXPECT_THAT(body_of(create("&ramQuotaMB=100")),
              StartsWith(R"({"errors":{"name":"Bucket with given name already exists"})"));
  for (const auto& [method, path] :
       {std::pair("POST", "/x"), std::pair("DELETE", "/x"), std::pair("POST", "/x/controller/doFlush")}) {
    const std::string answer = http_.send(method, buckets_ + path, "");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 "));
    EXPECT_EQ(body_of(answer), "Requested resource not found.");
  }
  for (const std::string_view form :
       {"", "name=c", "name=c&ramQuotaMB=x", "name=c&ramQuotaMB=99", "name=c&ramQuotaMB=99999999999999999999",
        "name=a/b&ramQuotaMB=100", "name=c&bucketType=x&ramQuotaMB=100", "name=c&ramQuotaMB=100&maxTTL=x",
        "name=c&ramQuotaMB=100&maxTTL=2147483648", "name=c&ramQuotaMB=100&maxTTL=-1",
        "name=c&bucketType=ephemeral&ramQuotaMB=100&conflictResolutionType=custom",
        "name=c&bucketType=ephemeral&ramQuotaMB=100&numVBuckets=0",
        "name=c&bucketType=ephemeral&ramQuotaMB=100&numVBuckets=96",
        "name=c&bucketType=ephemeral&ramQuotaMB=100&numVBuckets=2048",
        "name=c&ramQuotaMB=100&replicaNumber=4", "name=%zz", "name=c&ramQuotaMB=100&evictionPolicy=no",
        "name=c&ramQuotaMB=100&bucketType=membase"})
    EXPECT_THAT(http_.send("POST", buckets_, form), StartsWith("HTTP/1.1 400 ")) << form;
  EXPECT_THAT(http_.send("DELETE", buckets_ + "/default", ""), StartsWith("HTTP/1.1 400 "));
}

TEST_F(BucketChangesTest, ABucketHasAsManyVBucketsAsItIsMadeWith) {
  EXPECT_THAT(create("&ramQuotaMB=100&numVBuckets=4"), StartsWith("HTTP/1.1 202 "));
  EXPECT_THAT(http_.get(buckets_ + "/b"), HasSubstr(R"("numVBuckets":4,)"));
  EXPECT_THAT(http_.get("/pools/default/b/b"), HasSubstr(R"("vBucketMap":[[0],[0],[0],[0]]})"));
  EXPECT_EQ(http_.engine().buckets.find("b")->bucket().vbucket_count(), 4U);
  EXPECT_THAT(http_.send("POST", buckets_ + "/b", "numVBuckets=4&ramQuotaMB=110"),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.send("POST", buckets_ + "/b", "numVBuckets=8"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(http_.get(buckets_ + "/b"), HasSubstr(R"("numVBuckets":4,)"));
}

TEST_F(BucketChangesTest, ABucketHasRulesForItsDocuments) {
  EXPECT_THAT(create("&ramQuotaMB=100&maxTTL=60&conflictResolutionType=lww"), StartsWith("HTTP/1.1 202 "));
  const std::string shown = http_.get(buckets_ + "/b");
  EXPECT_THAT(shown, HasSubstr(R"("maxTTL":60)"));
  EXPECT_THAT(shown, HasSubstr(R"("conflictResolutionType":"lww")"));
  const auto served = http_.engine().buckets.find("b");
  store::Bucket& bucket = served->bucket();
  // The bucket's sweeper goes by the wall clock, and would remove what had expired by it.
  const base::Now now = base::SystemClock().now();
  const auto store = [&](uint64_t cas, uint64_t revision) {
    auto draft = bucket.draft("k", 0, 0, 0, now);
    return bucket.store_foreign(*draft, {.cas = cas, .revision = revision}, now).status;
  };
  EXPECT_EQ(store(5, 9), store::StoreStatus::stored);
  EXPECT_EQ(store(6, 1), store::StoreStatus::stored) << "it is later";
  EXPECT_EQ(store(5, 10), store::StoreStatus::exists);
  EXPECT_EQ(bucket.fetch("k", {}, now).expiry, now.unix_s() + 60);
  EXPECT_THAT(http_.send("POST", buckets_ + "/b", "ramQuotaMB=100&conflictResolutionType=seqno"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(http_.send("POST", buckets_ + "/b", "ramQuotaMB=100&maxTTL=7"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.get(buckets_ + "/b"), HasSubstr(R"("maxTTL":7)"));
  EXPECT_EQ(store(7, 1), store::StoreStatus::stored);
  EXPECT_EQ(bucket.fetch("k", {}, now).expiry, now.unix_s() + 7);
}

TEST_F(BucketChangesTest, TakeTheRolesForIt) {
  http_.add_user("admin", "admin");
  http_.add_user("owner", "bucket_admin[b]");
  http_.add_user("app", "bucket_full_access[b]");
  const std::string owner = basic("owner", "secret");
  const std::string app = basic("app", "secret");
  const std::string form = "name=b&bucketType=ephemeral&ramQuotaMB=100&flushEnabled=1";
  EXPECT_THAT(http_.send("POST", buckets_, form, owner), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(http_.send("POST", buckets_, form, basic("admin", "secret")), StartsWith("HTTP/1.1 202 "));
  EXPECT_THAT(http_.send("POST", buckets_ + "/b/controller/doFlush", "", app), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.send("DELETE", buckets_ + "/b", "", app), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(http_.send("DELETE", buckets_ + "/b", "", owner), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace bobbin::admin
