// Hit ratio of the store's eviction against plain LRU, on the same requests.
//
//   eviction [keys] [requests]
//
// Keys are asked for by Zipf(0.99); a miss is stored, as an application with a database behind its cache
// does. The memory holds a quarter of the keys. LRU is simulated with as many documents as the store ended up
// with. The second run has a scan in it: every tenth request walks through keys that are asked for just once.

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <list>
#include <random>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/bucket.h"

namespace {

using bobbin::base::Now;
using bobbin::store::Bucket;
using bobbin::store::BucketOptions;
using bobbin::store::StoreMode;

constexpr size_t kKeyBytes = 16;
constexpr uint32_t kValueBytes = 100;
constexpr double kSkew = 0.99;
constexpr uint64_t kScanKeys = uint64_t{1} << 40;

// Ranks by Zipf's law, after Gray et al., "Quickly generating billion-record synthetic databases" (1994).
class Zipf {
 public:
  explicit Zipf(uint64_t keys) : keys_(keys) {
    for (uint64_t i = 1; i <= keys; ++i)
      zeta_ += 1.0 / std::pow(static_cast<double>(i), kSkew);
    const double zeta2 = 1.0 + std::pow(0.5, kSkew);
    eta_ = (1.0 - std::pow(2.0 / static_cast<double>(keys), 1.0 - kSkew)) / (1.0 - zeta2 / zeta_);
  }
  uint64_t next(std::mt19937_64& random) {
    const double u = std::uniform_real_distribution<double>()(random);
    const double uz = u * zeta_;
    if (uz < 1.0) return 0;
    if (uz < 1.0 + std::pow(0.5, kSkew)) return 1;
    const double rank = static_cast<double>(keys_) * std::pow(eta_ * u - eta_ + 1.0, 1.0 / (1.0 - kSkew));
    return static_cast<uint64_t>(rank) % keys_;
  }

 private:
  uint64_t keys_;
  double zeta_ = 0;
  double eta_ = 0;
};

struct Request {
  uint64_t key;
  bool scan;
};

class Requests {
 public:
  Requests(uint64_t keys, bool scans) : zipf_(keys), scans_(scans) {}
  Request next() {
    if (scans_ && ++count_ % 10 == 0) return {kScanKeys + scanned_++, true};
    return {zipf_.next(random_), false};
  }

 private:
  std::mt19937_64 random_{4711};
  Zipf zipf_;
  bool scans_;
  uint64_t count_ = 0;
  uint64_t scanned_ = 0;
};

// Counts hits among the requests of the second half that are not the scan's.
template <typename Access>
double hit_ratio(uint64_t keys, uint64_t requests, bool scans, Access&& access) {
  Requests source(keys, scans);
  uint64_t asked = 0;
  uint64_t hits = 0;
  for (uint64_t i = 0; i < requests; ++i) {
    const Request request = source.next();
    const bool hit = access(request.key);
    if (request.scan || i < requests / 2) continue;
    ++asked;
    if (hit) ++hits;
  }
  return static_cast<double>(hits) / static_cast<double>(asked);
}

struct Measured {
  double ratio;
  uint64_t documents;
};

Measured measure_store(uint64_t keys, uint64_t requests, bool scans) {
  constexpr uint64_t kBytesPerDocument = 180;  // allocator and table included, about
  BucketOptions options;
  options.quota_bytes = keys / 4 * kBytesPerDocument;
  options.hash_seed = 99;
  Bucket bucket(options);
  Now now{uint64_t{1'700'000'000} * 1'000'000'000};
  const double ratio = hit_ratio(keys, requests, scans, [&](uint64_t number) {
    now.unix_ns += 1000;
    char name[kKeyBytes];
    std::memset(name, '0', sizeof name);
    std::to_chars(name, name + sizeof name, number);
    const std::string_view key(name, sizeof name);
    if (bucket.fetch(key, now)) return true;
    auto draft = bucket.draft(key, 0, 0, kValueBytes, now);
    if (!draft) std::abort();
    std::memset(draft->value().data(), 'v', kValueBytes);
    bucket.store(std::move(*draft), StoreMode::set, now);
    return false;
  });
  return {ratio, bucket.statistics().items};
}

double measure_lru(uint64_t keys, uint64_t requests, bool scans, uint64_t documents) {
  std::list<uint64_t> order;
  std::unordered_map<uint64_t, std::list<uint64_t>::iterator> where;
  return hit_ratio(keys, requests, scans, [&](uint64_t number) {
    const auto found = where.find(number);
    if (found != where.end()) {
      order.splice(order.begin(), order, found->second);
      return true;
    }
    if (where.size() == documents) {
      where.erase(order.back());
      order.pop_back();
    }
    order.push_front(number);
    where[number] = order.begin();
    return false;
  });
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t keys = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 400'000;
  const uint64_t requests = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 8'000'000;
  for (const bool scans : {false, true}) {
    const Measured store = measure_store(keys, requests, scans);
    const double lru = measure_lru(keys, requests, scans, store.documents);
    std::printf("%-12s store %.4f  lru %.4f  with %llu of %llu keys in memory\n",
                scans ? "zipf + scan" : "zipf", store.ratio, lru,
                static_cast<unsigned long long>(store.documents), static_cast<unsigned long long>(keys));
  }
  return 0;
}
