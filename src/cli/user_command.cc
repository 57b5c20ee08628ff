#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "base/clock.h"
#include "cli/client_command.h"
#include "cli/data_commands.h"
#include "cli/json.h"
#include "cli/password_prompt.h"
#include "cli/running_server.h"
#include "disk/layout_file.h"
#include "disk/sealed_text.h"
#include "disk/system_file.h"
#include "serve/audit.h"
#include "serve/users.h"
#include "serve/users_file.h"

namespace bobbin::cli {
namespace {

std::string role_names() {
  std::string names;
  for (const serve::RoleKind& kind : serve::role_kinds()) {
    names += names.empty() ? "" : ", ";
    names += kind.name;
    if (kind.reach == serve::RoleReach::bucket) names += "[BUCKET]";
    if (kind.reach == serve::RoleReach::collection) names += "[BUCKET:SCOPE:COLLECTION]";
  }
  return names;
}

CommandLine user_line() {
  CommandLine line;
  line.usage = "user add|list|remove|passwd [NAME] [options]";
  line.summary = "Shows and changes the users in a data directory that no server has.";
  line.details =
      "The password of \"add\" and \"passwd\" is the environment variable BOBBIN_PASSWORD, or what is typed, "
      "or "
      "the first line of standard input where that is no terminal. What is kept of it cannot be used to log "
      "in. \"list\" also works while a server runs.\n\n"
      "Roles: " +
      role_names() +
      ". A * stands for every bucket, and SCOPE and COLLECTION may be left out.\n\n"
      "Ends with 0 if it was done, 1 if there is no such user, or already one, 2 if the arguments or the "
      "directory are wrong, 4 if the file of users is damaged, 5 if it cannot be read or written, or a "
      "server has the directory.";
  line.flags = {
      {"--data", 'd', "DIR", "The data directory; \"add\" makes it if it is not there", "Options",
       "default bobbin-data"},
      {"--role", 'r', "ROLE", "A role of the user that is added; may be given several times"},
      {"--full-name", 0, "TEXT", "Who it is, for people"},
      {"--iterations", 0, "N",
       "How often a password is hashed: the more, the longer a guess takes from a stolen file, and each "
       "login. Bobbin's own clients take 1,000 to 1,000,000",
       "Options", fmt::format("default {}", serve::kDefaultPasswordIterations)},
      {"--json", 'j', "", "Print \"list\" as JSON"},
  };
  line.min_positionals = 1;
  line.max_positionals = 2;
  line.examples =
      "bobbin user add admin --role admin --data /var/lib/bobbin\n"
      "bobbin user add app --role data_reader[shop] --role data_writer[shop:orders] < password\n"
      "bobbin user list --json";
  return line;
}

int fail_with(const disk::Error& error) {
  return complain(error.message, exit_code_of(error.kind));
}

int fail_with(const serve::UsersError& error) {
  using Kind = serve::UsersError::Kind;
  switch (error.kind) {
    case Kind::exists:
    case Kind::missing:
      return complain(error.message, kExitNo);
    case Kind::disk:
      return complain(error.message, kExitNoResources);
    case Kind::invalid:
      break;
  }
  return complain(error.message, kExitUsage);
}

/// The folder is not there, or has at most what an interrupted run of this command leaves.
bool has_nothing_else(const std::string& data) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(data, error)) {
    const std::string name = entry.path().filename().string();
    if (name != "lock" && name != "users.json.new") return false;
  }
  return !error || error == std::errc::no_such_file_or_directory;
}

/// A data directory, or one that can become it: nothing is put into any other folder by mistake.
disk::Result<void> expect_data_directory(const std::string& data, bool may_be_new) {
  const std::string layout_path = data + "/layout";
  const auto text = disk::read_file(layout_path);
  if (!text) return base::fail(text.error());
  if (*text) {
    const auto layout = disk::decode_layout(**text, layout_path);
    if (!layout) return base::fail(layout.error());
    return {};
  }
  std::error_code error;
  if (std::filesystem::exists(users_path(data), error) || (may_be_new && has_nothing_else(data))) return {};
  return base::fail(disk::Error{disk::ErrorKind::config, data, data + ": this is no data directory"});
}

disk::Result<disk::FileLock> lock_directory(const std::string& data, bool may_be_new) {
  if (auto expected = expect_data_directory(data, may_be_new); !expected) return base::fail(expected.error());
  if (auto made = disk::make_folder(data); !made) return base::fail(made.error());
  auto lock = disk::FileLock::take(data + "/lock", false);
  if (lock || lock.error().kind != disk::ErrorKind::locked) return lock;
  disk::Error error = lock.error();
  error.message +=
      ": the users of a running server cannot be changed from here: do it over HTTP (docs/http.md), or stop "
      "it "
      "first";
  return base::fail(std::move(error));
}

std::string roles_of(const serve::User& user) {
  std::string text;
  for (const serve::Role& role : user.roles)
    text += (text.empty() ? "" : ", ") + serve::role_text(role);
  return text.empty() ? "no roles" : text;
}

int list(const serve::Users& users, bool as_json) {
  const auto table = users.table();
  std::string text;
  if (as_json) {
    for (const auto& [name, user] : table->users) {
      std::string roles;
      for (const serve::Role& role : user.roles)
        roles += (roles.empty() ? "" : ",") + json_string(serve::role_text(role));
      text += fmt::format(R"({}{{"name":{},"full_name":{},"roles":[{}],"password_changed":"{}"}})",
                          text.empty() ? "" : ",", json_string(name), json_string(user.full_name), roles,
                          utc_text(user.password_changed_s * 1'000'000'000));
    }
    print("[" + text + "]\n");
    return kExitOk;
  }
  size_t width = 0;
  for (const auto& [name, user] : table->users)
    width = std::max(width, name.size());
  for (const auto& [name, user] : table->users) {
    text += fmt::format("{:<{}}  {}", name, width, roles_of(user));
    text += user.full_name.empty() ? "\n" : "  (" + printable(user.full_name) + ")\n";
  }
  print(text.empty() ? "there are no users\n" : text);
  return kExitOk;
}

base::Result<std::vector<serve::Role>, base::Error> roles_in(const Arguments& arguments) {
  std::vector<serve::Role> roles;
  for (const std::string& text : arguments.all("--role")) {
    auto parsed = serve::parse_roles(text);
    if (!parsed) return base::fail(std::move(parsed.error()));
    roles.insert(roles.end(), parsed->begin(), parsed->end());
  }
  if (roles.empty())
    return base::fail(
        base::Error{"a user without a role may do nothing: give one with --role. There are " + role_names()});
  return roles;
}

/// One run of the command on a directory that is locked.
class Change {
 public:
  Change(const Arguments& arguments, serve::Users& users, serve::AuditLog& audit)
      : arguments_(arguments), name_(arguments.positionals()[1]), users_(users), audit_(audit) {}

  int add() {
    if (users_.find(name_) != nullptr) {
      return complain(
          fmt::format("there is a user {}; bobbin user passwd changes its password", printable(name_)),
          kExitNo);
    }
    const auto roles = roles_in(arguments_);
    if (!roles) return complain(roles.error().message, kExitUsage);
    const auto password = read_new_password();
    if (!password) return complain(password.error().message, kExitUsage);
    const auto added = users_.add({name_, *password, arguments_.last("--full-name"), *roles});
    return finish(added, "add user", "is a user now");
  }

  int passwd() {
    if (users_.find(name_) == nullptr)
      return complain(fmt::format("there is no user {}", printable(name_)), kExitNo);
    const auto password = read_new_password();
    if (!password) return complain(password.error().message, kExitUsage);
    const auto changed = users_.change({name_, *password, std::nullopt, std::nullopt});
    return finish(changed, "change password", "has a new password");
  }

  int remove() { return finish(users_.remove(name_), "remove user", "is no user any more"); }

 private:
  int finish(const base::Result<void, serve::UsersError>& done, std::string_view action,
             std::string_view what) {
    if (!done) return fail_with(done.error());
    const auto user = users_.find(name_);
    const std::string roles = user == nullptr ? std::string() : roles_of(*user);
    audit_.admin({"", "command line", action, name_, true, roles});
    print(fmt::format("{} {}{}{}\n", name_, what, roles.empty() ? "" : ": ", roles));
    return kExitOk;
  }

  const Arguments& arguments_;
  const std::string& name_;
  serve::Users& users_;
  serve::AuditLog& audit_;
};

/// What is wrong with the words, if anything is.
std::string usage_error(const Arguments& arguments) {
  const std::string& action = arguments.positionals().front();
  const bool is_list = action == "list";
  if (!is_list && action != "add" && action != "remove" && action != "passwd")
    return fmt::format("bobbin user {}: there are add, list, remove and passwd", printable(action));
  const bool has_name = arguments.positionals().size() == 2;
  if (has_name == is_list)
    return "bobbin user " + action + (is_list ? " takes no name" : " needs the user's name");
  for (const char* flag : {"--role", "--full-name"}) {
    if (action != "add" && arguments.has(flag)) return std::string(flag) + " is for bobbin user add";
  }
  if (!is_list && arguments.has("--json")) return "--json is for bobbin user list";
  return {};
}

std::optional<uint32_t> iterations_in(const Arguments& arguments) {
  const auto number =
      disk::number_in(arguments.last("--iterations", std::to_string(serve::kDefaultPasswordIterations)));
  if (!number || *number == 0 || *number > serve::kMaxPasswordIterations) return std::nullopt;
  return static_cast<uint32_t>(*number);
}

int run_user_command(const Arguments& arguments) {
  if (const std::string wrong = usage_error(arguments); !wrong.empty()) return complain(wrong, kExitUsage);
  const std::string& action = arguments.positionals().front();
  const std::string data = arguments.last("--data", "bobbin-data");
  const auto iterations = iterations_in(arguments);
  if (!iterations) {
    return complain(fmt::format("--iterations: a number from 1 to {}", serve::kMaxPasswordIterations),
                    kExitUsage);
  }
  std::optional<disk::FileLock> lock;
  if (action == "list") {
    // The file is only ever replaced as a whole, so it can be read beside a server.
    if (auto expected = expect_data_directory(data, false); !expected) return fail_with(expected.error());
  } else {
    auto taken = lock_directory(data, action == "add");
    if (!taken) return fail_with(taken.error());
    lock.emplace(std::move(*taken));
  }
  const base::SystemClock clock;
  auto users = serve::Users::open({users_path(data), *iterations, &clock});
  if (!users) return fail_with(users.error());
  if (action == "list") return list(**users, arguments.has("--json"));
  serve::AuditOptions audit_options;
  audit_options.file.path = audit_path(data);
  audit_options.clock = &clock;
  serve::AuditLog audit(std::move(audit_options));
  Change change(arguments, **users, audit);
  return action == "add" ? change.add() : action == "remove" ? change.remove() : change.passwd();
}

}  // namespace

int user_command(int argc, char** argv) {
  const CommandLine line = user_line();
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto arguments = parse_arguments(line, words);
  if (!arguments) return complain(arguments.error().message, kExitUsage);
  if (arguments->help()) {
    print(help_text(line));
    return kExitOk;
  }
  return run_user_command(*arguments);
}

}  // namespace bobbin::cli
