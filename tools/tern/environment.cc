#include "tools/tern/environment.h"

#include <chrono>
#include <cstdlib>
#include <pwd.h>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include "gateway/qlog_files.h"
#include "tools/tern/exit_code.h"

namespace tern::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

std::shared_ptr<tls::KeyLog> key_log_from_environment() {
  const std::string path = variable("SSLKEYLOGFILE");
  if (path.empty()) return nullptr;
  auto log = tls::KeyLog::open(path);
  if (!log) fail_with(ExitCode::cannot_write, "SSLKEYLOGFILE: " + log.error().detail);
  return *log;
}

quic::QlogOpener qlog_from_environment(const std::string& folder) {
  const std::string path = folder.empty() ? variable("QLOGDIR") : folder;
  if (path.empty()) return nullptr;
  const std::string wanted = variable("QLOGFORMAT");
  if (!wanted.empty() && wanted != "0.3" && wanted != "drafts") {
    fail_with(ExitCode::usage, "QLOGFORMAT '" + wanted + "': 0.3 (the default) or drafts");
  }
  auto opener = qlog_files(path, wanted == "drafts" ? QlogFormat::drafts : QlogFormat::version_0_3);
  if (!opener) fail_with(ExitCode::cannot_write, opener.error().detail);
  return *opener;
}

ProxyOptions proxies_from_environment(const std::optional<std::string>& proxy,
                                      const std::optional<std::string>& except) {
  auto found = ProxyOptions::from_environment([&](const char* name) -> std::optional<std::string> {
    const bool is_exception =
        std::string_view(name) == "no_proxy" || std::string_view(name) == "NO_PROXY";
    if (proxy && !is_exception) return std::nullopt;
    return variable(name);
  });
  if (!found) fail_with(ExitCode::usage, found.error().detail);
  if (proxy && !proxy->empty()) {
    auto named = Proxy::parse(*proxy);
    if (!named) fail_with(ExitCode::usage, "--proxy: " + named.error().detail);
    found->all(std::move(*named));
  }
  if (except) found->except(*except);
  return std::move(*found);
}

UnixSeconds unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string data_folder() {
  const std::string data = variable("XDG_DATA_HOME");
  if (!data.empty()) return data + "/tern";
  std::string home = variable("HOME");
  if (home.empty()) {
    const passwd* user = getpwuid(getuid());
    home = user == nullptr ? "." : user->pw_dir;
  }
  return home + "/.local/share/tern";
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);  // a sandbox that refuses leaves it as it was
}

}  // namespace tern::cli
