#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "disk_layout.h"

namespace bobbin::bench {

namespace {

constexpr size_t kHeaderBytes = 31;
constexpr size_t kRunItems = 4096;

void must(const rocksdb::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

rocksdb::CompressionType compression(const std::string& name) {
  if (name == "lz4") return rocksdb::kLZ4Compression;
  if (name == "zstd") return rocksdb::kZSTD;
  return rocksdb::kNoCompression;
}

rocksdb::ColumnFamilyOptions family(const Settings& settings, bool index) {
  static const auto kCache = rocksdb::NewLRUCache(settings.number("cache_mb", 64) << 20U);
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = settings.number("memtable_mb", 16) << 20U;
  options.max_write_buffer_number = 4;
  options.level_compaction_dynamic_level_bytes = true;
  options.compression = compression(settings.text("compression", "lz4"));
  options.bottommost_compression = compression(settings.text("bottom", "lz4"));
  const std::string memtable = settings.text(index ? "index_memtable" : "memtable", "skiplist");
  if (memtable == "vector") options.memtable_factory = std::make_shared<rocksdb::VectorRepFactory>();
  if (memtable == "hash") {
    options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(2));
    options.memtable_factory.reset(rocksdb::NewHashSkipListRepFactory(4096));
  }
  if (settings.number("hint", 1) != 0)
    options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(2));
  if (!index && settings.number("memtable_bloom", 0) != 0) {
    options.memtable_prefix_bloom_size_ratio = 0.02;
    options.memtable_whole_key_filtering = true;
  }
  if (!index && settings.number("blob_from", 0) != 0) {
    options.enable_blob_files = true;
    options.min_blob_size = settings.number("blob_from", 0);
    options.enable_blob_garbage_collection = true;
    options.blob_garbage_collection_age_cutoff =
        static_cast<double>(settings.number("blob_cutoff", 25)) / 100;
    options.blob_garbage_collection_force_threshold =
        static_cast<double>(settings.number("blob_force", 100)) / 100;
  }
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = kCache;
  table.cache_index_and_filter_blocks = true;
  table.block_size = settings.number("block", 8192);
  if (!index && settings.number("bloom", 10) != 0)
    table.filter_policy.reset(
        rocksdb::NewBloomFilterPolicy(static_cast<double>(settings.number("bloom", 10))));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

Settings::Settings(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) {
    const std::string text = argv[i];
    const size_t at = text.find('=');
    if (at != std::string::npos) values_[text.substr(0, at)] = text.substr(at + 1);
  }
}

uint64_t Settings::number(const std::string& name, uint64_t otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? otherwise : std::stoull(found->second);
}

std::string Settings::text(const std::string& name, const std::string& otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? otherwise : found->second;
}

std::string sortable(uint64_t number, size_t bytes) {
  std::string text;
  for (size_t i = bytes; i-- > 0;)
    text.push_back(static_cast<char>(number >> (8 * i)));
  return text;
}

std::string Keys::name(uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number * 0x9e3779b97f4a7c15U));
  return text;
}

BareShard::BareShard(const std::string& path, const Settings& settings, uint32_t shard, uint32_t shards)
    : path_(path),
      value_in_index_(settings.text("layout", "A") == "B"),
      sorted_(settings.number("sorted", 1) != 0),
      with_index_(settings.number("index", 1) != 0),
      shard_(shard),
      shards_(shards),
      seqnos_(kVBuckets) {
  // Half of it compresses, as values do.
  value_.assign(kHeaderBytes + settings.number("value", 100), 'v');
  uint64_t noise = 1;
  for (size_t i = 0; i < value_.size() / 2; ++i)
    value_[i] = static_cast<char>((noise = noise * 6364136223846793005U + 1442695040888963407U) >> 56U);
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_background_jobs = static_cast<int>(settings.number("jobs", 4));
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.allow_concurrent_memtable_write = false;
  if (settings.number("recycle", 0) != 0) {
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    options.recycle_log_file_num = settings.number("recycle", 0);
  }
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, {}},
                                                                 {"docs", family(settings, false)},
                                                                 {"seqnos", family(settings, true)}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  must(rocksdb::DB::Open(options, path, families, &handles, &db));
  db_.reset(db);
  must(db_->DestroyColumnFamilyHandle(handles[0]));
  docs_ = handles[1];
  index_ = handles[2];
}

BareShard::~BareShard() {
  db_->DestroyColumnFamilyHandle(docs_);
  db_->DestroyColumnFamilyHandle(index_);
}

void BareShard::write(Keys keys, uint64_t count, uint64_t batch, bool sync) {
  std::vector<Item> items;
  for (uint64_t done = 0; done < count; done += batch) {
    items.clear();
    for (uint64_t i = 0; i < batch; ++i) {
      const uint64_t number = keys.next();
      const uint32_t vbucket = vbucket_of(number, shard_, shards_);
      const uint64_t seqno = ++seqnos_[vbucket];
      const std::string prefix = sortable(vbucket, 2);
      items.push_back({prefix + Keys::name(number), prefix + sortable(seqno, 8), seqno});
    }
    put(items, sync);
  }
}

void BareShard::put(const std::vector<Item>& items, bool sync) {
  rocksdb::WriteBatch batch;
  std::vector<const Item*> order;
  order.reserve(items.size());
  for (const Item& item : items)
    order.push_back(&item);
  if (sorted_) {
    std::sort(order.begin(), order.end(), [](const Item* a, const Item* b) {
      const int by_key = a->doc_key.compare(b->doc_key);
      return by_key != 0 ? by_key < 0 : a->seqno > b->seqno;
    });
    const auto same = [](const Item* a, const Item* b) { return a->doc_key == b->doc_key; };
    order.erase(std::unique(order.begin(), order.end(), same), order.end());
  }
  std::string header;
  for (const Item* item : order) {
    header.assign(value_);
    header.replace(2, 8, sortable(item->seqno, 8));
    if (value_in_index_) {
      must(batch.Put(docs_, item->doc_key, item->index_key.substr(2)));
      must(batch.Put(index_, item->index_key, item->doc_key.substr(2) + header));
    } else {
      must(batch.Put(docs_, item->doc_key, header));
      if (with_index_) must(batch.Put(index_, item->index_key, "\0\0\0\0\0" + item->doc_key.substr(2)));
    }
  }
  rocksdb::WriteOptions options;
  options.sync = sync;
  must(db_->Write(options, &batch));
}

void BareShard::settle() {
  must(db_->Flush({}, {docs_, index_}));
  for (bool busy = true; busy;) {
    busy = false;
    for (rocksdb::ColumnFamilyHandle* family : {docs_, index_}) {
      for (const char* property : {"rocksdb.num-running-compactions", "rocksdb.compaction-pending"}) {
        uint64_t value = 0;
        busy = busy || !db_->GetIntProperty(family, property, &value) || value != 0;
      }
    }
    if (busy) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

void BareShard::compact() {
  must(db_->Flush({}, {docs_, index_}));
  must(db_->CompactRange({}, docs_, nullptr, nullptr));
  must(db_->CompactRange({}, index_, nullptr, nullptr));
}

uint64_t BareShard::stream(uint32_t vbucket) {
  uint64_t read = 0;
  const std::string prefix = sortable(vbucket, 2);
  const std::unique_ptr<rocksdb::Iterator> entries(db_->NewIterator({}, index_));
  entries->Seek(prefix);
  std::vector<std::pair<uint64_t, std::string>> run;
  while (entries->Valid() && entries->key().starts_with(prefix)) {
    if (value_in_index_) {
      // Whether the entry is the key's newest has to be asked of docs all the same.
      std::string seqno;
      const std::string key = prefix + entries->value().ToString().substr(0, 16);
      must(db_->Get({}, docs_, key, &seqno));
      read += seqno == entries->key().ToString().substr(2) ? 1 : 0;
    } else {
      const std::string name = entries->key().ToString();
      uint64_t seqno = 0;
      for (size_t i = 2; i < name.size(); ++i)
        seqno = seqno << 8U | static_cast<uint8_t>(name[i]);
      run.emplace_back(seqno, prefix + entries->value().ToString().substr(5));
      if (run.size() == kRunItems) {
        read += stream_through_documents(run);
        run.clear();
      }
    }
    entries->Next();
  }
  return read + stream_through_documents(run);
}

uint64_t BareShard::stream_through_documents(const std::vector<std::pair<uint64_t, std::string>>& run) {
  std::vector<const std::pair<uint64_t, std::string>*> order;
  order.reserve(run.size());
  for (const auto& entry : run)
    order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->second < b->second; });
  const std::unique_ptr<rocksdb::Iterator> documents(db_->NewIterator({}, docs_));
  std::vector<std::pair<uint64_t, std::string>> found;
  for (const auto* entry : order) {
    // Neighbours are often a step or two away; a seek costs a dozen steps.
    for (int step = 0; step < 4 && documents->Valid() && documents->key().compare(entry->second) < 0; ++step)
      documents->Next();
    if (!documents->Valid() || documents->key().compare(entry->second) < 0) documents->Seek(entry->second);
    if (!documents->Valid() || documents->key() != rocksdb::Slice(entry->second)) continue;
    if (documents->value().ToString().substr(2, 8) != sortable(entry->first, 8)) continue;
    found.emplace_back(entry->first, documents->value().ToString());
  }
  std::sort(found.begin(), found.end());
  return found.size();
}

uint64_t BareShard::iterate() {
  uint64_t bytes = 0;
  const std::unique_ptr<rocksdb::Iterator> documents(db_->NewIterator({}, docs_));
  uint64_t count = 0;
  for (documents->SeekToFirst(); documents->Valid(); documents->Next()) {
    bytes += documents->value().size();
    ++count;
  }
  must(documents->status());
  return bytes == 0 ? 0 : count;
}

bool BareShard::get(uint64_t number) {
  std::string value;
  const std::string key = sortable(vbucket_of(number, shard_, shards_), 2) + Keys::name(number);
  return db_->Get({}, docs_, key, &value).ok();
}

uint64_t BareShard::file_bytes() const {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path_))
    bytes += entry.is_regular_file() ? entry.file_size() : 0;
  return bytes;
}

}  // namespace bobbin::bench
