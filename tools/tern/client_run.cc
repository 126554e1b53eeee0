#include "tools/tern/client_run.h"

#include <csignal>
#include <memory>
#include <unistd.h>
#include <utility>

#include <CLI/CLI.hpp>

#include "tools/tern/environment.h"
#include "tools/tern/exit_code.h"
#include "tools/tern/option_values.h"
#include "transport/engine/service_resolver.h"

namespace tern::cli {

void add_proxy_flags(CLI::App& verb, ProxyFlags& flags, const std::string& connection_group,
                     const std::string& trust_group) {
  const auto in = [](CLI::Option* option, const std::string& group) {
    if (!group.empty()) option->group(group);
  };
  in(verb.add_option("-x,--proxy", flags.proxy,
                     "Through this HTTP proxy, http:// or https://; '': none (default:\n"
                     "https_proxy, http_proxy, all_proxy)")
         ->type_name("[USER:PASSWORD@]URL")
         ->allow_extra_args(false),
     connection_group);
  in(verb.add_option("--noproxy", flags.no_proxy,
                     "Not to these hosts; '*': to none (default: no_proxy)")
         ->type_name("HOSTS")
         ->allow_extra_args(false),
     connection_group);
  in(verb.add_option("--proxy-cacert", flags.proxy_ca_file,
                     "Trust the CAs of this PEM file for https:// proxies")
         ->type_name("FILE"),
     trust_group);
  in(verb.add_flag("--proxy-insecure", flags.proxy_insecure, "Trust any certificate of a proxy"),
     trust_group);
}

ProxyOptions proxy_options(const ProxyFlags& flags) {
  ProxyOptions proxies = proxies_from_environment(flags.proxy, flags.no_proxy);
  proxies.ca_file(flags.proxy_ca_file).insecure(flags.proxy_insecure);
  return proxies;
}

Result<tls::Certificate> load_certificate(const std::string& certificate, const std::string& key) {
  return tls::Certificate::load(certificate, key.empty() ? certificate : key);
}

ClientOptions client_options(const ConnectFlags& flags) {
  check_ca_file(flags.ca_file);
  ClientOptions client;
  client.insecure(flags.insecure)
      .ca_file(flags.ca_file)
      .key_log(key_log_from_environment())
      .proxy(proxy_options(flags))
      .qlog(qlog_from_environment(flags.qlog));
  // curl's 0 is the default.
  if (flags.connect_timeout && *flags.connect_timeout > Duration::zero()) {
    client.connect_timeout(*flags.connect_timeout);
  }
  for (const std::string& entry : flags.resolve) {
    const ResolveEntry parsed = parse_resolve(entry);
    for (const udp::Address& address : parsed.addresses) {
      client.resolve(parsed.host, parsed.port, address);
    }
  }
  return client;
}

Interrupts::Interrupts(std::function<void()> first)
    : first_(std::move(first)), signals_({SIGINT, SIGTERM}, [this](int) { come(); }) {}

void Interrupts::begin(Runtime& runtime) {
  const std::lock_guard lock(mutex_);
  runtime_ = &runtime;
}

void Interrupts::end() {
  const std::lock_guard lock(mutex_);
  runtime_ = nullptr;
}

void Interrupts::come() {
  const std::lock_guard lock(mutex_);
  if (count_++ > 0 || runtime_ == nullptr) _exit(static_cast<int>(ExitCode::interrupted));
  runtime_->submit(first_);
}

void run_client(const ConnectFlags& flags, ClientOptions options, Interrupts& interrupts,
                const std::function<Task<void>(Runtime&, Client&)>& work) {
  auto network = engine::open(engine::EngineOptions().kind(flags.engine));
  if (!network) fail_with(ExitCode::failed, network.error().detail);
  Runtime runtime(**network);
  options.services(std::make_shared<engine::ServiceResolver>(runtime));
  Client client(runtime, **network, std::move(options));
  interrupts.begin(runtime);
  runtime.block_on(work(runtime, client));
  interrupts.end();
}

}  // namespace tern::cli
