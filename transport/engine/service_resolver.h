#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/runtime.h"
#include "transport/udp/service_record.h"

namespace tern::engine {

/// Asks the DNS servers of /etc/resolv.conf for HTTPS records, by the C library's resolver
/// (res_nquery) on helper threads: it blocks and cannot be cancelled, so nobody waits for the
/// threads, which exist while there is work. Names are asked for as they are, without search
/// domains, and /etc/hosts is not looked at. Outlived by the runtime.
class ServiceResolver final : public udp::ServiceResolver {
 public:
  static constexpr std::size_t kMaxThreads = 4;
  /// Names asked for and not answered yet; beyond that the answer is Code::limit.
  static constexpr std::size_t kMaxPending = 256;

  explicit ServiceResolver(Runtime& runtime);
  ~ServiceResolver() override;

  void resolve_service(const std::string& name, Answered done) override;

 private:
  struct Shared;
  static void work(const std::shared_ptr<Shared>& shared);

  std::shared_ptr<Shared> shared_;
};

/// The HTTPS records in a DNS response (RFC 1035 §4), and how long they hold. None of them if one
/// is malformed, or the name does not exist. Error invalid: it is no DNS response.
Result<udp::ServiceAnswer> read_service_answer(ByteView message);

}  // namespace tern::engine
