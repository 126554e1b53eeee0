#include "tools/tern/dev_certificate.h"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "tools/tern/environment.h"
#include "tools/tern/exit_code.h"
#include "transport/tls/development.h"

namespace tern::cli {
namespace {

constexpr UnixSeconds kDay = 24 * 3600;
constexpr int kAuthorityDays = 3650;

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

/// One program at a time makes certificates in a folder. Where it cannot be locked (NFS), several
/// may.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder)
      : folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (folder_ >= 0) ::flock(folder_, LOCK_EX);
  }
  ~FolderLock() {
    if (folder_ >= 0) ::close(folder_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int folder_;
};

template <typename T>
T or_fail(Result<T> result) {
  if (!result) fail_with(ExitCode::failed, "development certificate: " + result.error().detail);
  return std::move(*result);
}

void save(const tls::Identity& identity, const std::string& certificate, const std::string& key) {
  const Result<void> saved = identity.save(certificate, key);
  if (!saved) {
    fail_with(ExitCode::cannot_write, "development certificate: " + saved.error().detail);
  }
}

}  // namespace

DevCertificate dev_certificate(const DevCertificateWish& wish) {
  std::error_code failed;
  std::filesystem::create_directories(wish.folder, failed);
  if (failed) {
    fail_with(ExitCode::cannot_write, "folder " + wish.folder + ": " + failed.message() + "; " +
                                          std::string(wish.way_out) + ", or set XDG_DATA_HOME");
  }
  const FolderLock lock(wish.folder);
  const UnixSeconds now = unix_now();
  const std::string ca_file = wish.folder + "/ca.pem";
  const std::string ca_key_file = wish.folder + "/ca.key";
  const std::string chain_file = wish.folder + "/cert.pem";
  const std::string key_file = wish.folder + "/key.pem";

  bool made_ca = false;
  std::optional<tls::Identity> authority;
  if (exists(ca_file) && exists(ca_key_file)) {
    const auto certificate = tls::Certificate::load(ca_file, ca_key_file);
    if (certificate && certificate->not_after() > now + (wish.days + 1) * kDay) {
      authority = or_fail(tls::Identity::load(ca_file, ca_key_file));
    }
  }
  if (!authority) {
    authority = or_fail(tls::make_authority(tls::DevelopmentOptions(now).days(kAuthorityDays)));
    save(*authority, ca_file, ca_key_file);
    made_ca = true;
  }

  std::vector<std::string> names = wish.names;
  if (!made_ca && !wish.renew && exists(chain_file) && exists(key_file)) {
    auto certificate = tls::Certificate::load(chain_file, key_file);
    if (certificate && certificate->not_after() > now + std::min(wish.days, 1) * kDay &&
        std::all_of(names.begin(), names.end(),
                    [&](const std::string& name) { return certificate->covers(name); })) {
      return {ca_file, chain_file, key_file, std::move(*certificate), false, false};
    }
  }
  auto made = tls::make_leaf(*authority, tls::DevelopmentOptions(now).days(wish.days).names(names));
  if (!made && made.error().is(Code::invalid)) fail_with(ExitCode::usage, made.error().detail);
  const tls::Identity leaf = or_fail(std::move(made));
  save(leaf, chain_file, key_file);
  tls::Certificate certificate = or_fail(tls::Certificate::load(chain_file, key_file));
  return {ca_file, chain_file, key_file, std::move(certificate), made_ca, true};
}

}  // namespace tern::cli
