#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "transport/quic/session.h"
#include "transport/udp/address.h"

namespace tern {

/// What a client remembers of servers it has spoken with (tickets, tokens, settings), by origin
/// ("https://example.com"). The least recently used sessions make room beyond kMaxSessions; each
/// ticket is given out once, so that observers cannot link connections by it (RFC 8446 §C.4),
/// unless a server gave only one: then it stays until the server sends the next. Belongs to one
/// thread.
class SessionCache {
 public:
  static constexpr std::size_t kMaxSessions = 256;
  static constexpr std::size_t kMaxPerOrigin = 4;

  /// `remote`: who gave it.
  void put(std::string_view origin, quic::Session session,
           const udp::Address& remote = udp::Address());
  /// The newest that has not expired and was made in `version` (any if 0). Sessions of other
  /// protocols than `alpn` do not count.
  std::optional<quic::Session> take(std::string_view origin, std::string_view alpn,
                                    std::uint32_t version, UnixSeconds now);
  /// Where the origin's newest session came from: of a name's addresses the one to try first, and
  /// the only one that early data goes to. Unspecified if it is not known.
  udp::Address remote(std::string_view origin) const;
  /// Nobody answers there any more.
  void forget_remote(std::string_view origin);
  std::size_t size() const noexcept { return entries_.size(); }

  /// A file with mode 0600, replaced at once: it holds resumption secrets. Errors of Domain::os.
  Result<void> save(const std::string& path) const;
  /// Adds what the file holds; a file that does not exist holds nothing. Error invalid for one that
  /// is something else, else of Domain::os.
  Result<void> load(const std::string& path);
  /// What `save` writes, and `load` reads.
  std::string to_text() const;
  Result<void> from_text(std::string_view text);

 private:
  struct Entry {
    std::string origin;
    quic::Session session;
    udp::Address remote;
  };
  std::list<Entry> entries_;  // newest first
};

}  // namespace tern
