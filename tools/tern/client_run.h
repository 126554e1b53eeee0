#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "base/task.h"
#include "base/time.h"
#include "gateway/client.h"
#include "tools/tern/cli11_forward.h"
#include "tools/tern/signals.h"
#include "transport/engine/engine.h"
#include "transport/tls/certificate.h"

/// What the verbs that are clients have in common.

namespace tern::cli {

/// Which proxy, instead of the environment's.
struct ProxyFlags {
  std::optional<std::string> proxy;     ///< empty: none
  std::optional<std::string> no_proxy;  ///< instead of no_proxy's
  std::string proxy_ca_file;
  bool proxy_insecure = false;
};

/// --proxy, --noproxy, --proxy-cacert, --proxy-insecure. Groups of the help text; empty: the
/// default one.
void add_proxy_flags(CLI::App& verb, ProxyFlags& flags, const std::string& connection_group = {},
                     const std::string& trust_group = {});
/// Those flags and https_proxy with its like. Throws a Failure for what is no proxy.
ProxyOptions proxy_options(const ProxyFlags& flags);

/// Where a client connects to, and how. Flags of `tern get`, `ws` and `wt`.
struct ConnectFlags : ProxyFlags {
  bool insecure = false;
  std::string ca_file;
  std::vector<std::string> resolve;
  std::optional<Duration> connect_timeout;
  engine::EngineKind engine = engine::EngineKind::automatic;
  std::string qlog;
};

/// Those flags and the environment (SSLKEYLOGFILE, QLOGDIR, proxies) as options. Throws a Failure
/// for what cannot be used.
ClientOptions client_options(const ConnectFlags& flags);

/// curl's --cert and --key: without a file for the key it is in the certificate's.
Result<tls::Certificate> load_certificate(const std::string& certificate, const std::string& key);

/// SIGINT and SIGTERM while a runtime runs: the first is told on its thread, a second one, or one
/// outside of `begin` and `end`, ends the process with ExitCode::interrupted. Make it before the
/// network, so that the signals come here and not to the engine's threads.
class Interrupts {
 public:
  explicit Interrupts(std::function<void()> first);
  void begin(Runtime& runtime);
  void end();

 private:
  void come();

  const std::function<void()> first_;
  std::mutex mutex_;
  Runtime* runtime_ = nullptr;  // guarded by the mutex
  int count_ = 0;               // likewise
  SignalThread signals_;        // last: it uses the others
};

/// A client on a network and a runtime of its own, which asks for HTTPS records, too; `work` runs
/// to its end. Throws a Failure when there is no network.
void run_client(const ConnectFlags& flags, ClientOptions options, Interrupts& interrupts,
                const std::function<Task<void>(Runtime&, Client&)>& work);

}  // namespace tern::cli
