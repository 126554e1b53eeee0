#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "transport/tls/certificate.h"

namespace tern::cli {

/// The development CA of this user and a certificate signed by it, in one folder.
struct DevCertificate {
  std::string ca_file;
  std::string chain_file;
  std::string key_file;
  tls::Certificate certificate;
  bool made_ca = false;
  bool made_leaf = false;
};

/// What a development certificate is to be.
struct DevCertificateWish {
  std::string folder;
  std::vector<std::string> names;  ///< besides localhost, 127.0.0.1 and ::1
  int days = 13;
  bool renew = false;  ///< a new leaf, even if there is a good one
  /// What to do instead when the folder cannot be written.
  std::string_view way_out = "choose another with --dir";
};

/// Uses what the folder holds while it is good for the names and for one more day, and makes what
/// is missing. Throws a Failure.
DevCertificate dev_certificate(const DevCertificateWish& wish);

}  // namespace tern::cli
