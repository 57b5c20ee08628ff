// What a server begins with: tables and folders as they are read, and what is said of those that are wrong.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/config_test_support.h"
#include "cli/seeding.h"
#include "disk/disk_test_support.h"

namespace bobbin::cli {
namespace {

class SeedTest : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    const auto path = std::filesystem::path(folder_.path()) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  [[nodiscard]] base::Result<Seed, std::vector<base::Error>> read(bool persistent = true) const {
    ConfigCase given{.words = {"--seed", folder_.path()}};
    if (!persistent) given.words.emplace_back("--memory=1G");
    const auto config = given.load();
    if (!config) return base::fail(config.error());
    return read_seed(*config);
  }
  /// Every error, one a line, without the folder.
  [[nodiscard]] std::string errors() const {
    const auto seed = read();
    std::string text;
    if (seed) return text;
    for (const base::Error& error : seed.error()) {
      std::string message = error.message;
      if (message.starts_with(folder_.path())) message.erase(0, folder_.path().size() + 1);
      text += message + "\n";
    }
    return text;
  }
  [[nodiscard]] std::vector<SeedDocuments> find() const {
    SeedTables tables;
    std::vector<base::Error> errors;
    return find_documents(folder_.path(), tables, errors);
  }
  [[nodiscard]] std::string fingerprint() const {
    const auto seed = read();
    EXPECT_TRUE(seed) << errors();
    return seed ? seed->fingerprint : std::string();
  }

  disk::TemporaryFolder folder_;
};

TEST_F(SeedTest, folders_are_buckets_scopes_and_collections) {
  write("travel/inventory/airline/airline_10.json", "{\"name\":\"40-Mile Air\"}\n");
  write("travel/inventory/airline/more.jsonl",
        "{\"key\":\"a/b\",\"value\":[1, 2]}\n\n{\"value\":3,\"key\":\"\\u00e9\"}");
  write("default/_default/_default/k.json", " 1 ");
  write("travel/.hidden", "");
  std::filesystem::create_directories(folder_.path() + "/empty/scope");
  const auto seed = read();
  ASSERT_TRUE(seed) << errors();
  ASSERT_EQ(seed->tables.buckets.size(), 3U);
  EXPECT_EQ(seed->tables.buckets[1].name, "empty");
  EXPECT_EQ(seed->tables.buckets[1].scopes.at(0).name, "scope");
  EXPECT_EQ(seed->tables.buckets[2].collections.at(0).name, "airline");
  EXPECT_EQ(seed->documents, 4U);
  std::vector<std::pair<std::string, std::string>> documents;
  for (const SeedDocuments& file : seed->files) {
    const auto done = read_documents(file, 100,
                                     [&](std::string_view key, std::string_view json,
                                         const std::string&) -> base::Result<void, base::Error> {
                                       documents.emplace_back(key, json);
                                       return {};
                                     });
    EXPECT_TRUE(done);
  }
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"k", "1"}, {"airline_10", "{\"name\":\"40-Mile Air\"}"}, {"a/b", "[1, 2]"}, {"\u00e9", "3"}};
  EXPECT_EQ(documents, expected);
}

TEST_F(SeedTest, a_file_describes_buckets_and_users) {
  write("secret", "from a file\n");
  write(
      "seed.toml",
      "[[buckets]]\n"
      "name = \"travel\"\n"
      "ramQuotaMB = 256\n"
      "flushEnabled = true\n"
      "scopes = [\"empty\"]\n"
      "collections = [\"inventory.airline\", { name = \"inventory.session\", maxTTL = 60 }, \"_default.x\"]\n"
      "[[groups]]\n"
      "id = \"readers\"\n"
      "roles = [\"data_reader[travel]\"]\n"
      "[[users]]\n"
      "id = \"app\"\n"
      "name = \"The application\"\n"
      "passwordFile = \"secret\"\n"
      "roles = \"data_writer[travel],data_monitoring[travel]\"\n"
      "groups = [\"readers\"]\n");
  std::filesystem::rename(folder_.path() + "/secret", folder_.path() + "/.secret");
  EXPECT_EQ(errors(), "seed.toml:13: the first line of secret has no password, or cannot be read\n");
  std::filesystem::rename(folder_.path() + "/.secret", folder_.path() + "/secret");
  EXPECT_EQ(errors(), "secret: expected seed.toml, or a folder with the name of a bucket\n");
  const ConfigCase alone{.words = {"--seed", folder_.path() + "/seed.toml"}};
  const auto config = alone.load();
  ASSERT_TRUE(config);
  const SeedTables& tables = config->seed_tables;
  ASSERT_EQ(tables.buckets.size(), 1U);
  const auto settings = settings_of(tables.buckets[0], true);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->quota_bytes, uint64_t{256} << 20);
  EXPECT_TRUE(settings->flush_enabled);
  EXPECT_EQ(settings->type, "membase");
  EXPECT_EQ(settings_of(tables.buckets[0], false)->type, "ephemeral");
  ASSERT_EQ(tables.buckets[0].collections.size(), 3U);
  EXPECT_EQ(tables.buckets[0].collections[1].max_ttl_s, 60U);
  ASSERT_EQ(tables.users.size(), 1U);
  EXPECT_EQ(tables.users[0].change.password, "from a file");
  EXPECT_EQ(tables.users[0].change.roles->size(), 2U);
  EXPECT_EQ(tables.groups.at(0).group.roles.size(), 1U);
}

TEST_F(SeedTest, tables_may_stand_in_the_configuration_and_in_a_variable) {
  const ConfigCase given{
      .file = "memory = \"1G\"\n[[buckets]]\nname = \"a\"\n",
      .environment = {
          {"BOBBIN_SEED_TOML", "[[users]]\nid = \"u\"\npasswordVariable = \"P\"\nroles = \"admin\""},
          {"P", "secret"}}};
  const auto config = given.load();
  ASSERT_TRUE(config) << given.errors();
  EXPECT_EQ(config->seed_tables.buckets.at(0).name, "a");
  EXPECT_EQ(config->seed_tables.users.at(0).change.password, "secret");
  const ConfigCase twice{.file = given.file,
                         .environment = {{"BOBBIN_SEED_TOML", "\n[[buckets]]\nname = \"a\"\n"}}};
  EXPECT_EQ(twice.errors(), "BOBBIN_SEED_TOML:2: bucket \"a\" is described at FILE:2, too\n");
}

TEST_F(SeedTest, documents_may_stand_in_tables) {
  write(".more.jsonl", "{\"key\":\"a\",\"value\":1}\n{\"key\":\"b\",\"value\":2}\n");
  const ConfigCase given{
      .file =
          "memory = \"1G\"\n[[documents]]\nkey = \"k\"\nvalue = ' {\"a\":1} '\n[[buckets]]\nname = "
          "\"travel\"\nramQuotaMB = 200\n",
      .environment = {
          {"BOBBIN_SEED_TOML", "[[documents]]\nbucket = \"travel\"\ncollection = \"s.c\"\nfile = \"" +
                                   folder_.path() + "/.more.jsonl\"\n"}}};
  const auto config = given.load();
  ASSERT_TRUE(config) << given.errors();
  const auto seed = read_seed(*config);
  ASSERT_TRUE(seed) << seed.error().front().message;
  EXPECT_EQ(seed->documents, 3U);
  ASSERT_EQ(seed->files.size(), 2U);
  std::string found;
  (void)read_documents(seed->files[0], 100,
                       [&](std::string_view key, std::string_view json,
                           const std::string&) -> base::Result<void, base::Error> {
                         found.append(key).append("=").append(json);
                         return {};
                       });
  EXPECT_EQ(found, "k={\"a\":1}");
  ASSERT_EQ(seed->tables.buckets.size(), 2U) << "the one that is described, and default";
  EXPECT_EQ(seed->tables.buckets[0].fields.size(), 1U);
  EXPECT_EQ(seed->tables.buckets[0].collections.at(0).name, "c");
  EXPECT_EQ(seed->tables.buckets[1].name, "default");
}

TEST_F(SeedTest, documents_in_tables_that_cannot_be_are_named) {
  write("seed.toml",
        "[[documents]]\nkey = \"k\"\n"
        "[[documents]]\nfile = \"a.txt\"\n"
        "[[documents]]\nfile = \"a.json\"\nkey = \"k\"\n"
        "[[documents]]\ncollection = \"c\"\nfile = \"a.json\"\n"
        "[[documents]]\nbucket = \".b\"\nfile = \"a.json\"\n"
        "[[documents]]\nkeys = 1\n");
  const std::string what = "documents need a key and a value, or a file *.json or *.jsonl\n";
  EXPECT_EQ(errors(), "seed.toml:1: " + what + "seed.toml:3: " + what + "seed.toml:5: " + what +
                          "seed.toml:9: collection \"c\": expected \"scope.collection\"\n"
                          "seed.toml:11: a bucket cannot be called \".b\"\n"
                          "seed.toml:15: unknown key \"keys\", did you mean key?\n");
  write("seed.toml",
        "[[documents]]\nkey = \"k\"\nvalue = \"{\"\n"
        "[[documents]]\nkey = \"" +
            std::string(251, 'k') + "\"\nvalue = \"1\"\n[[documents]]\nfile = \"none.json\"\n");
  EXPECT_EQ(errors(),
            "seed.toml:1: value: this is no JSON\n"
            "seed.toml:4: a key has 1 to 250 bytes\n"
            "none.json: No such file or directory\n");
}

TEST_F(SeedTest, users_that_are_seeded_let_other_machines_in) {
  ConfigCase given{.words = {"--listen", "0.0.0.0"}};
  EXPECT_FALSE(given.load());
  given.environment = {{"BOBBIN_SEED_TOML", "[[users]]\nid = \"u\"\npassword = \"p\"\nroles = \"admin\""}};
  EXPECT_TRUE(given.load()) << given.errors();
}

TEST_F(SeedTest, errors_name_file_and_line) {
  write("seed.toml",
        "[[buckets]]\nname = \"a\"\nramQuotaMB = 1\n"
        "[[buckets]]\nname = \"b\"\nflush = true\n"
        "[[users]]\nid = \"u\"\n"
        "[bucket]\n"
        "[[buckets]]\nname = \"default\"\nramQuotaMB = 200\n"
        "[[buckets]]\nname = \"c\"\ncollections = [\"x\", \"_y.z\"]\n"
        "[[groups]]\nid = \"g\"\nroles = [\"reader\"]\n");
  const std::string rule =
      "a name has 1 to 251 of the characters A-Z, a-z, 0-9, _, - and %, and begins with neither _ nor %";
  EXPECT_EQ(errors().substr(0, errors().find("; there are")),
            "seed.toml:6: unknown key \"flush\"\n"
            "seed.toml:15: collection \"x\": expected \"scope.collection\"\n"
            "seed.toml:15: collection \"_y.z\": " +
                rule +
                "\nseed.toml:7: a user needs an id, and one of password, passwordFile and passwordVariable\n"
                "seed.toml:9: unknown key \"bucket\", did you mean buckets?\n"
                "seed.toml:18: roles: role \"reader\": there is no such role");
  write("seed.toml",
        "[[buckets]]\nname = \"a\"\nramQuotaMB = 1\n[[buckets]]\nname = \"default\"\nramQuotaMB = 200\n");
  write("a/s/c/k.json", "{\"a\":1,\n\"b\":}\n");
  write("a/s/c/m.jsonl", "{\"key\":\"k\",\"value\":1}\n{\"key\":\"k\"}\n");
  write("a/s/c/n.jsonl", "{\"key\":\"\",\"value\":1}\n");
  write("a/s/c/o.jsonl", "\n{\"key\":\"k\",\"value\":1}}\n");
  write("a/s/c/p.txt", "");
  write("a/s/_c/k.json", "1");
  EXPECT_EQ(
      errors(),
      "a/s/_c: " + rule +
          "\na/s/c/p.txt: expected a file *.json with one document, or *.jsonl with one a line\n"
          "seed.toml:3: bucket a: RAM quota cannot be less than 100 MiB\n"
          "seed.toml:6: bucket default is always there, and what it is follows from the server's options: "
          "only scopes, collections and documents can be seeded there\n"
          "a/s/c/k.json:2: this is no JSON\n"
          "a/s/c/m.jsonl:2: expected {\"key\":\"\u2026\",\"value\":\u2026} and nothing else\n"
          "a/s/c/n.jsonl:1: a key has 1 to 250 bytes\n"
          "a/s/c/o.jsonl:2: this is no JSON\n");
}

TEST_F(SeedTest, a_document_that_is_too_long_is_named) {
  write("a/s/c/k.json", '"' + std::string(2000, 'x') + std::string(kSeedLineBytes, 'y') + '"');
  write("a/s/c/m.jsonl", "\n\"" + std::string(2000, 'x') + std::string(kSeedLineBytes, 'y') + '"');
  const auto files = find();
  ASSERT_EQ(files.size(), 2U);
  for (const SeedDocuments& file : files) {
    const auto done =
        read_documents(file, 1024, [](auto...) -> base::Result<void, base::Error> { return {}; });
    ASSERT_FALSE(done);
    EXPECT_TRUE(done.error().message.ends_with("longer than --max-item-size, 1024 bytes"))
        << done.error().message;
  }
}

TEST_F(SeedTest, the_fingerprint_is_that_of_everything_but_passwords) {
  const std::string user = "[[users]]\nid = \"u\"\nroles = \"admin\"\npassword = ";
  write("seed.toml", user + "\"one\"\n");
  write("b/s/c/k.json", "1");
  const std::string first = fingerprint();
  EXPECT_EQ(first.size(), 64U);
  write("seed.toml", user + "\"two\"\n");
  EXPECT_EQ(fingerprint(), first);
  write("b/s/c/k.json", "2");
  const std::string second = fingerprint();
  EXPECT_NE(second, first);
  write("seed.toml", user + "\"two\"\nname = \"U\"\n");
  EXPECT_NE(fingerprint(), second);
}

TEST_F(SeedTest, a_place_that_is_none_is_told) {
  const ConfigCase given{.environment = {{"BOBBIN_SEED", folder_.path() + "/nowhere"}}};
  EXPECT_EQ(given.errors(), "environment variable BOBBIN_SEED: " + folder_.path() +
                                "/nowhere is no folder, and no file *.toml\n");
}

}  // namespace
}  // namespace bobbin::cli
