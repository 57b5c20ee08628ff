// `bobbin serve` on files that fail on demand, for the tests of this folder: faulty_server [options of
// serve].
//
//   BOBBIN_FAULTS      faults from the start: "OPERATION:KIND:AFTER:PATH_PART" with read, write or sync; io
//   or
//                      no_space; how many go well first; what the file's path contains. Several: with commas.
//   BOBBIN_FAULTS_ON_SIGNAL  the same, from SIGURG on
//   BOBBIN_POWER_NOTE  a path: SIGUSR2 ends the process there and then, and what was never synced is taken
//   away
//                      when the next one starts with the same path
//   BOBBIN_TORN_BYTES  how many bytes of each file's unsynced ones have made it all the same
#include <pthread.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "cli/serve_command.h"
#include "disk/faulty_files.h"

namespace {

using bobbin::disk::ErrorKind;
using bobbin::disk::Fault;
using bobbin::disk::FaultyFiles;
using bobbin::disk::FileOperation;

std::string variable(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? std::string() : std::string(text);
}

void inject(FaultyFiles& files, const std::string& texts) {
  std::istringstream all(texts);
  for (std::string text; std::getline(all, text, ',');) {
    std::istringstream words(text);
    std::string operation;
    std::string kind;
    std::string after;
    Fault fault;
    std::getline(words, operation, ':');
    std::getline(words, kind, ':');
    std::getline(words, after, ':');
    std::getline(words, fault.path_part);
    fault.operation = operation == "read"    ? FileOperation::read
                      : operation == "write" ? FileOperation::write
                                             : FileOperation::sync;
    fault.holds = kind == "hold";
    fault.kind = kind == "no_space" ? ErrorKind::no_space : ErrorKind::io;
    fault.after = std::strtoull(after.c_str(), nullptr, 10);
    files.inject(fault);
  }
}

/// Never ends: the process does.
void obey_signals(const std::shared_ptr<FaultyFiles>& files, const sigset_t& signals) {
  for (bool is_injected = false;; is_injected = !is_injected) {
    int signal = 0;
    while (sigwait(&signals, &signal) != 0)
      continue;
    if (signal == SIGUSR2) files->lose_power(variable("BOBBIN_POWER_NOTE"));
    if (is_injected) {
      files->heal();
      std::fputs("faults: healed\n", stderr);
      continue;
    }
    inject(*files, variable("BOBBIN_FAULTS_ON_SIGNAL"));
    std::fputs("faults: injected\n", stderr);
  }
}

}  // namespace

int main(int argc, char** argv) {
  // Only the thread below sees these, and it sees none of those that the server waits for.
  sigset_t signals;
  sigset_t all;
  sigemptyset(&signals);
  for (const int signal : {SIGUSR2, SIGURG})
    sigaddset(&signals, signal);
  all = signals;
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1})
    sigaddset(&all, signal);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  const std::string note = variable("BOBBIN_POWER_NOTE");
  if (!note.empty() &&
      !FaultyFiles::drop_noted(note, std::strtoull(variable("BOBBIN_TORN_BYTES").c_str(), nullptr, 10))) {
    std::fprintf(stderr, "%s: what was not synced cannot be taken away\n", note.c_str());
    return 70;
  }
  const auto files = std::make_shared<FaultyFiles>();
  inject(*files, variable("BOBBIN_FAULTS"));
  std::thread([files, signals] { obey_signals(files, signals); }).detach();
  return bobbin::cli::serve_with(
      [&](const bobbin::cli::ServeConfig& config) { return bobbin::cli::start_server(config, files); }, argc,
      argv);
}
