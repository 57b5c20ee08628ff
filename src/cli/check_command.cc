#include <fmt/format.h>

#include <algorithm>

#include "cli/client_command.h"
#include "cli/data_commands.h"
#include "cli/json.h"
#include "cli/progress_bar.h"
#include "cli/quantity.h"
#include "cli/running_server.h"
#include "disk/check.h"
#include "serve/server_backup.h"

namespace bobbin::cli {
namespace {

CommandLine check_line() {
  CommandLine line;
  line.usage = "check DIR [options]";
  line.summary = "Verifies a data directory that no server has, and says what is wrong with it.";
  line.details =
      "Looks at each bucket. Reads every file and compares its checksum, then compares documents, index and "
      "counts with each "
      "other. Changes nothing. What is damaged does not keep the rest from being looked at.\n\n"
      "Ends with 0 if all is well, 4 if something is damaged, 5 if the directory cannot be read or a "
      "server has it, 2 if it is no data directory.";
  line.flags = {{"--json", 'j', "", "Print one JSON object"}};
  line.min_positionals = 1;
  line.max_positionals = 1;
  line.examples =
      "bobbin check /var/lib/bobbin\n"
      "bobbin check --json /var/lib/bobbin | jq .findings";
  return line;
}

/// The findings of all buckets.
std::vector<disk::Finding> findings_in(const serve::ServerCheck& check) {
  std::vector<disk::Finding> findings = check.first.content.findings;
  for (const auto& [_, report] : check.others)
    findings.insert(findings.end(), report.content.findings.begin(), report.content.findings.end());
  return findings;
}

/// The members that tell of one bucket.
std::string members_of(const disk::CheckReport& report) {
  const disk::ContentCheck& content = report.content;
  return fmt::format(
      "\"path\":{},\"uuid\":{},\"shards\":{},\"vbuckets\":{},\"complete\":{},\"clean_end\":{},"
      "\"file_bytes\":{},\"unreadable_shards\":{},\"documents\":{},\"tombstones\":{},\"key_bytes\":{},"
      "\"value_bytes\":{},\"index_entries\":{},\"stale_entries\":{},\"flushes\":{},\"branches\":{}",
      json_string(report.path), json_string(report.uuid), report.shards, report.vbuckets, report.is_complete,
      report.ended_cleanly, report.file_bytes, report.unreadable_shards, content.documents,
      content.tombstones, content.key_bytes, content.value_bytes, content.index_entries,
      content.stale_entries, content.flushes, content.branches);
}

std::string json_of(const serve::ServerCheck& check) {
  std::string text = "{" + members_of(check.first) + ",\"buckets\":[";
  for (size_t i = 0; i < check.others.size(); ++i)
    text += fmt::format("{}{{\"name\":{},{}}}", i == 0 ? "" : ",", json_string(check.others[i].name),
                        members_of(check.others[i].report));
  text += "],\"findings\":[";
  const std::vector<disk::Finding> findings = findings_in(check);
  for (size_t i = 0; i < findings.size(); ++i) {
    text += fmt::format("{}{{\"kind\":{},\"where\":{},\"what\":{}}}", i == 0 ? "" : ",",
                        json_string(disk::name_of(findings[i].kind)), json_string(findings[i].where),
                        json_string(findings[i].what));
  }
  return text + "]}\n";
}

std::string text_of(const disk::CheckReport& report) {
  const disk::ContentCheck& content = report.content;
  std::string text = fmt::format("{}: ", report.path);
  if (report.shards == 0) return text + "its layout cannot be read, so nothing else can be\n";
  text += fmt::format("directory {}, {} shards, {} vbuckets\n", report.uuid, report.shards, report.vbuckets);
  if (!report.is_complete)
    return text + "  the server that was to create it did not get that far: it is empty, and can be served\n";
  text += report.ended_cleanly
              ? "  the last end was clean\n"
              : "  the last end was not clean (a crash, a kill, or a restore): that is no damage, the next "
                "start goes on from what is on disk\n";
  text += fmt::format("  {} documents with {} of keys and {} of values, {} tombstones\n", content.documents,
                      human_bytes(content.key_bytes), human_bytes(content.value_bytes), content.tombstones);
  text += fmt::format("  {} index entries, {} of them of overwritten versions (they go by themselves)\n",
                      content.index_entries, content.stale_entries);
  text +=
      fmt::format("  {} in files; {} of {} vbuckets were ever written, their history has up to {} branches\n",
                  human_bytes(report.file_bytes), content.vbuckets, report.vbuckets, content.branches);
  return text;
}

/// The damage, each once, and what to do about all of it.
std::string findings_of(const serve::ServerCheck& check) {
  const std::vector<disk::Finding> findings = findings_in(check);
  if (findings.empty())
    return "all is well: every checksum is right, and nothing contradicts anything else\n";
  std::string text = fmt::format("{} found to be wrong:\n", findings.size() == 1 ? "this was" : "these were");
  for (const disk::Finding& finding : findings) {
    // Messages of the disk name the file themselves.
    const bool is_named = finding.what.starts_with(finding.where);
    text += fmt::format("  {}{}\n", is_named ? "" : finding.where + ": ", finding.what);
  }
  uint64_t unreadable = check.first.unreadable_shards;
  uint64_t shards = check.first.shards;
  for (const auto& [_, report] : check.others) {
    unreadable += report.unreadable_shards;
    shards += report.shards;
  }
  if (unreadable > 0)
    text += fmt::format("the documents of {} of {} shards cannot be read at all\n", unreadable, shards);
  return text +
         "do not serve this directory as it is: keep a copy of it, and restore a backup with bobbin "
         "restore\n";
}

}  // namespace

int check_command(int argc, char** argv) {
  const CommandLine line = check_line();
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto arguments = parse_arguments(line, words);
  if (!arguments) return complain(arguments.error().message, kExitConfiguration);
  if (arguments->help()) {
    print(help_text(line));
    return kExitOk;
  }
  ProgressBar bar;
  const auto check = serve::check_server(
      arguments->positionals().front(),
      [&](std::string_view bucket, disk::CheckStage stage, uint64_t done, uint64_t total) {
        const bool is_files = stage == disk::CheckStage::files;
        bar.show(fmt::format("checking {} of {}", is_files ? "files" : "documents", bucket), done, total,
                 is_files ? "bytes" : "documents");
      });
  bar.clear();
  if (!check) return complain(check.error().message, exit_code_of(check.error().kind));
  if (arguments->has("--json")) {
    print(json_of(*check));
  } else {
    std::string text = text_of(check->first);
    for (const auto& [name, report] : check->others)
      text += fmt::format("bucket {}: {}", name, text_of(report));
    print(text + findings_of(*check));
  }
  const std::vector<disk::Finding> findings = findings_in(*check);
  if (findings.empty()) return kExitOk;
  const bool is_damaged = std::any_of(findings.begin(), findings.end(), [](const disk::Finding& finding) {
    return finding.kind == disk::ErrorKind::corrupt;
  });
  return is_damaged ? kExitDamaged : exit_code_of(findings.front().kind);
}

}  // namespace bobbin::cli
