#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "transport/udp/address.h"

namespace tern::udp {

/// An HTTPS record of the DNS (RFC 9460): where and by which protocols a name's https service is
/// reached. A value.
struct ServiceRecord {
  /// 0: an alias, the service is `target`'s. Else the lower comes first.
  std::uint16_t priority = 1;
  /// In lower case, without the last dot; empty (the DNS has "."): the name that was asked for; of
  /// an alias: there is no such service.
  std::string target;
  /// ALPN names besides "http/1.1", the default, which `no_default_alpn` takes away.
  std::vector<std::string> alpn;
  bool no_default_alpn = false;
  std::optional<std::uint16_t> port;  ///< none: the URL's
  std::vector<Address> hints;         ///< addresses of `target`, port 0
  /// False: it has a mandatory key that is not known here, so it is not for us (§8).
  bool usable = true;

  bool is_alias() const noexcept { return priority == 0; }
  bool offers(std::string_view protocol) const noexcept;
};

/// What the DNS says of a name.
struct ServiceAnswer {
  std::vector<ServiceRecord> records;  ///< by priority; none: the name has none
  Duration ttl{};                      ///< how long that may be kept
};

/// The seam for looking services up: `engine::ServiceResolver` asks the machine's DNS servers,
/// `sim::ServiceZone` a table. Belongs to a runtime's thread.
class ServiceResolver {
 public:
  using Answered = std::function<void(Result<ServiceAnswer>)>;
  virtual ~ServiceResolver() = default;
  /// Asks for the HTTPS records of `name` and calls back from a later turn, on this thread, unless
  /// the resolver is destroyed before. Malformed records are none.
  virtual void resolve_service(const std::string& name, Answered done) = 0;
};

/// Reads the RDATA of an HTTPS or SVCB record (§2.2). Error invalid: malformed, and with it all
/// records of its name.
Result<ServiceRecord> parse_service_record(ByteView rdata);

}  // namespace tern::udp
