#include "tools/tern/call_run.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <google/protobuf/message.h>
#include <google/protobuf/stubs/logging.h>

#include "base/scope.h"
#include "gateway/client.h"
#include "gateway/rpc_channel.h"
#include "gateway/rpc_webtransport.h"
#include "rpc/client_streams.h"
#include "rpc/json.h"
#include "rpc/rest_route.h"
#include "tools/tern/call_input.h"
#include "tools/tern/call_output.h"
#include "tools/tern/call_reflection.h"
#include "tools/tern/call_schema.h"
#include "tools/tern/call_target.h"
#include "tools/tern/call_wire.h"
#include "tools/tern/client_run.h"
#include "tools/tern/get_output.h"
#include "tools/tern/nearest_names.h"
#include "tools/tern/socket_client.h"
#include "transport/tls/certificate.h"

namespace tern::cli {
namespace {

namespace pb = google::protobuf;

class Call {
 public:
  explicit Call(const CallOptions& options) : options_(options), output_(options, schema_) {}

  ExitCode run() {
    check_combinations();
    const bool asks = options_.list || !options_.describe.empty();
    const bool needs_server = !asks || options_.schemas.empty();
    if (!options_.url.empty()) {
      Result<CallTarget> target =
          asks ? CallTarget::of_server(options_.url) : CallTarget::of_call(options_.url);
      if (!target) fail_with(ExitCode::bad_url, target.error().detail);
      target_ = std::move(*target);
      result_.method = target_->service + "/" + target_->method;
    } else if (needs_server) {
      fail_with(ExitCode::usage, asks ? "name the server's URL, or files with --schema"
                                      : "name what to call: URL/pkg.Service/Method");
    }
    const Result<void> read = schema_.read(options_.schemas, options_.proto_paths);
    if (!read) fail_with(ExitCode::usage, read.error().detail);
    read_metadata();
    if (!needs_server) return tell(schema_.services());
    return connect();
  }

 private:
  void check_combinations() const {
    if (options_.list && !options_.describe.empty()) {
      fail_with(ExitCode::usage, "--list and --describe exclude each other");
    }
    if (options_.schemas.empty() && !options_.proto_paths.empty()) {
      fail_with(ExitCode::usage, "--proto-path is for the files of --schema, and there are none");
    }
    if (is_grpc() && options_.http == ClientProtocols::http1) {
      fail_with(ExitCode::usage,
                "gRPC needs HTTP/2 or HTTP/3; over HTTP/1.1 go --protocol connect, grpc-web and "
                "rest");
    }
    if (options_.get && options_.protocol != "connect") {
      fail_with(ExitCode::usage, "--get is for --protocol connect");
    }
  }

  bool is_grpc() const noexcept { return options_.protocol == "grpc"; }
  bool is_rest() const noexcept { return options_.protocol == "rest"; }
  bool is_webtransport() const noexcept { return options_.protocol == "webtransport"; }

  const rpc::ClientDialect& dialect() const {
    // On a stream of WebTransport a call is gRPC-Web's.
    if (options_.protocol == "grpc-web" || is_webtransport()) return rpc::grpc_web_client_dialect();
    if (options_.protocol == "connect") return rpc::connect_client_dialect(options_.get);
    if (is_rest()) return rpc::rest_client_dialect();
    return rpc::grpc_client_dialect();
  }

  /// Reflection has no REST: it is asked for in what a server of REST is likely to speak besides.
  const rpc::ClientDialect& reflection_dialect() const {
    if (!is_rest()) return dialect();
    const bool may_be_http1 =
        options_.http == ClientProtocols::http1 ||
        (target_->url.scheme() == "http" && options_.http != ClientProtocols::http2_only);
    return may_be_http1 ? rpc::grpc_web_client_dialect() : rpc::grpc_client_dialect();
  }

  void read_metadata() {
    for (const std::string& line : options_.fields) {
      auto [name, value] = split_field(line);
      std::string bytes = value;
      if (rpc::Metadata::is_binary(name)) {
        bytes.clear();
        if (!rpc::from_base64(value, bytes)) {
          fail_with(ExitCode::usage,
                    fmt::format("-H '{}': write the value of a -bin key in base64", line));
        }
      }
      if (!metadata_.add(name, bytes)) {
        fail_with(
            ExitCode::usage,
            fmt::format("-H '{}' is no metadata: keys are of a-z, 0-9, '_', '-' and '.', values "
                        "ASCII, and what belongs to the protocol cannot be set",
                        line));
      }
    }
  }

  // ---- the server

  ClientProtocols protocols() const {
    // Without TLS nothing says what the server speaks: gRPC's has HTTP/2.
    if (is_grpc() && target_->url.scheme() == "http") return ClientProtocols::http2_only;
    return options_.http.value_or(ClientProtocols::automatic);
  }

  ClientOptions client_settings() const {
    ClientOptions made = client_options(options_);
    made.protocols(protocols());
    if (options_.certificate.empty() && !options_.key.empty()) {
      fail_with(ExitCode::usage, "--key FILE wants --cert FILE, whose key it is");
    }
    if (!options_.certificate.empty()) {
      auto certificate = load_certificate(options_.certificate, options_.key);
      if (!certificate) fail_with(ExitCode::usage, certificate.error().detail);
      made.certificate(std::move(*certificate));
    }
    if (options_.verbose) made.watch([](const ClientEvent& event) { print_event(event); });
    return made;
  }

  ExitCode connect() {
    if (target_->url.scheme() == "http" && options_.http == ClientProtocols::http3_only) {
      fail_with(ExitCode::usage, "HTTP/3 is for https:// URLs alone");
    }
    Interrupts interrupts([this] {
      interrupted_ = true;
      if (done_ != nullptr) done_->notify();
    });
    run_client(options_, client_settings(), interrupts, [this](Runtime& runtime, Client& client) {
      input_ = std::make_unique<CallInput>(runtime, data());
      return work(client, runtime);
    });
    if (listing_ && result_.message.empty()) return tell(std::move(*listing_));
    output_.show_result(result_);
    return result_.code;
  }

  /// What -d says. Without it a method that takes many messages gets stdin's, one that takes one an
  /// empty one.
  std::vector<std::string> data() const {
    return options_.data.empty() ? std::vector<std::string>{"@-"} : options_.data;
  }

  std::unique_ptr<rpc::Channel> channel(Client& client, Runtime& runtime,
                                        const rpc::ClientDialect& dialect, std::size_t most) {
    rpc::ChannelOptions options;
    options.dialect = &dialect;
    options.max_response = most;
    options.user_agent = "tern/" TERN_VERSION;
    std::vector<std::unique_ptr<rpc::Wire>> wires;
    wires.push_back(std::make_unique<CallWire>(
        is_webtransport() ? session_wire(client, runtime) : rpc_wire(runtime, client, target_->url),
        is_webtransport() ? std::string() : target_->prefix, options_.verbose, not_reached_));
    return std::make_unique<rpc::Channel>(std::move(wires), std::move(options));
  }

  /// The session is at the folder before the service's name.
  std::unique_ptr<rpc::Wire> session_wire(Client& client, Runtime& runtime) const {
    using webtransport::Carrier;
    webtransport::ClientOptions session;
    if (options_.http == ClientProtocols::http3_only) session.carrier(Carrier::http3);
    if (options_.http == ClientProtocols::http2_only) session.carrier(Carrier::http2);
    if (options_.http == ClientProtocols::http1) session.carrier(Carrier::websocket);
    const auto url =
        http::Url::parse(target_->url.origin() + (target_->prefix.empty() ? "/" : target_->prefix));
    return rpc_webtransport_wire(runtime, client, *url, std::move(session));
  }

  Task<void> work(Client& client, Runtime& runtime) {
    Signal done(runtime);
    done_ = &done;
    if (!interrupted_) {
      Scope scope(runtime.ready());
      scope.spawn(work_and_tell(client, runtime, done));
      co_await done.wait();
    }
    done_ = nullptr;
    if (interrupted_) give_up(ExitCode::interrupted, "interrupted");
    input_.reset();
    co_await client.close();
  }

  Task<void> work_and_tell(Client& client, Runtime& runtime, Signal& done) {
    const bool known = co_await learn(client, runtime);
    if (known && !listing_) {
      const Timestamp begun = runtime.now();
      co_await call(client, runtime);
      result_.took = runtime.now() - begun;
    }
    done.notify();
  }

  // ---- the schema

  /// Asks the server for what `--schema` does not say. False: it is settled that it failed.
  Task<bool> learn(Client& client, Runtime& runtime) {
    if (!options_.schemas.empty()) co_return true;
    const std::unique_ptr<rpc::Channel> asked =
        channel(client, runtime, reflection_dialect(), ReflectionClient::kMostBytes);
    ReflectionClient reflection(*asked, metadata_,
                                options_.timeout.value_or(ReflectionClient::kPatience));
    rpc::Status status;
    if (options_.list && target_->service.empty()) {
      rpc::Result<std::vector<std::string>> names = co_await reflection.services();
      if (names) {
        listing_ = std::move(*names);
      } else {
        status = std::move(names).error();
      }
    } else {
      std::string symbol = options_.describe.empty() ? target_->service : options_.describe;
      std::replace(symbol.begin(), symbol.end(), '/', '.');
      if (symbol.starts_with('.')) symbol.erase(0, 1);
      status = co_await reflection.add_symbol(schema_, symbol);
      // Not every server knows the names of methods and fields.
      const std::size_t dot = symbol.rfind('.');
      if (status.code() == rpc::Code::not_found && !options_.describe.empty() &&
          dot != std::string::npos) {
        rpc::Status whole = co_await reflection.add_symbol(schema_, symbol.substr(0, dot));
        if (whole.ok()) status = std::move(whole);
      }
      if (options_.list || !options_.describe.empty()) listing_.emplace();
    }
    if (status.ok()) co_return true;
    listing_.reset();
    std::string meant;
    if (status.code() == rpc::Code::not_found) {
      meant = co_await suggest(reflection);
    }
    no_schema(std::move(status), meant);
    co_return false;
  }

  /// What the server has that is called nearly so.
  Task<std::string> suggest(ReflectionClient& reflection) {
    rpc::Result<std::vector<std::string>> services = co_await reflection.services();
    if (!services) co_return std::string();
    if (options_.describe.empty()) {
      co_return did_you_mean(nearest_names(target_->service, *services));
    }
    services->resize(std::min(services->size(), kMostSuggesting));
    for (const std::string& service : *services) {
      const rpc::Status added = co_await reflection.add_symbol(schema_, service);
      if (!added.ok()) break;
    }
    co_return did_you_mean(nearest_names(options_.describe, schema_.names()));
  }

  void no_schema(rpc::Status status, const std::string& meant) {
    if (not_reached_) return not_reached();
    const std::string name = options_.describe.empty() ? target_->service : options_.describe;
    result_.code = exit_code(status.code());
    switch (status.code()) {
      case rpc::Code::unimplemented:
        result_.message = fmt::format(
            "the server has no reflection ({}); name the service's files with --schema FILE.proto",
            status.message());
        break;
      case rpc::Code::not_found:
        result_.message =
            fmt::format("the server has no {}{}{} `tern call --list {}` shows what it has", name,
                        meant, meant.empty() ? ";" : "", server());
        break;
      case rpc::Code::unknown:
      case rpc::Code::internal:
        // What is no server of RPC at all answers so.
        result_.message = fmt::format(
            "no schema by reflection ({}); does {} speak {}? --schema FILE.proto does without",
            status.to_string(), server(), options_.protocol);
        break;
      default: result_.message = "reflection: " + status.to_string() + fix(status.code());
    }
    result_.status = std::move(status);
  }

  std::string server() const { return target_->url.origin() + target_->prefix; }

  /// `--list` and `--describe`.
  ExitCode tell(std::vector<std::string> names) {
    bool written = false;
    if (!options_.describe.empty()) {
      const std::string definition = schema_.describe(options_.describe);
      if (definition.empty()) unknown(options_.describe, schema_.names());
      written = print_definition(options_.describe, definition, options_.json);
    } else {
      if (target_ && !target_->service.empty()) {
        const pb::ServiceDescriptor* service = schema_.service(target_->service);
        if (service == nullptr) unknown(target_->service, schema_.services());
        for (int i = 0; i < service->method_count(); ++i) {
          names.push_back(service->full_name() + "/" + service->method(i)->name());
        }
      }
      written = print_names(names, options_.json);
    }
    if (!written) fail_with(ExitCode::cannot_write, "cannot write to stdout");
    return ExitCode::done;
  }

  /// A name that the schema does not have: the server's, or that of --schema.
  [[noreturn]] void unknown(const std::string& name, const std::vector<std::string>& names) const {
    const std::string meant = did_you_mean(nearest_names(name, names));
    fail_with(options_.schemas.empty() ? exit_code(rpc::Code::not_found) : ExitCode::usage,
              fmt::format("there is no {}{}{} `tern call --list` shows the services", name, meant,
                          meant.empty() ? ";" : ""));
  }

  // ---- the call

  Task<void> call(Client& client, Runtime& runtime) {
    const pb::MethodDescriptor* descriptor = find_method();
    if (descriptor == nullptr) co_return;
    path_ = target_->path();
    method_ = schema_.method(*descriptor, path_);
    if (is_rest() && !has_rest(*descriptor)) co_return;
    const std::unique_ptr<rpc::Channel> channel =
        this->channel(client, runtime, dialect(), static_cast<std::size_t>(options_.max_message));
    context_.metadata() = metadata_;
    if (options_.timeout) context_.timeout(*options_.timeout);
    if (!options_.compression.empty()) context_.compress(*http::coding_of(options_.compression));
    if (rpc::streams_requests(method_.pattern)) {
      co_await call_with_many(*channel, runtime);
    } else {
      co_await call_with_one(*channel);
    }
    conclude();
  }

  const pb::MethodDescriptor* find_method() {
    const pb::ServiceDescriptor* service = schema_.service(target_->service);
    if (service == nullptr) {
      give_up(ExitCode::usage,
              fmt::format("there is no service {} in the schema{}", target_->service,
                          did_you_mean(nearest_names(target_->service, schema_.services()))));
      return nullptr;
    }
    const pb::MethodDescriptor* method = service->FindMethodByName(target_->method);
    if (method != nullptr) return method;
    std::string names;
    for (int i = 0; i < service->method_count(); ++i) {
      names += (i == 0 ? "" : ", ") + service->method(i)->name();
    }
    give_up(ExitCode::usage, fmt::format("{} has no method {}; it has {}", target_->service,
                                         target_->method, names.empty() ? "none" : names));
    return nullptr;
  }

  /// False: it is settled that REST cannot call it.
  bool has_rest(const pb::MethodDescriptor& method) {
    const auto routes = rpc::rest_routes(method);
    std::string why;
    if (!routes) {
      why = routes.error().detail;
    } else if (routes->empty()) {
      why = result_.method + " has no google.api.http rule in the schema";
    } else if (method.client_streaming()) {
      why = result_.method + " takes a stream of requests, which REST has no way to send";
    } else {
      return true;
    }
    give_up(ExitCode::usage, why + "; call it with --protocol grpc, grpc-web or connect");
    return false;
  }

  Task<void> call_with_one(rpc::Channel& channel) {
    const std::unique_ptr<pb::Message> request(method_.request->New());
    if (!options_.data.empty()) {
      const bool filled = co_await only_request(*request);
      if (!filled) co_return;
    }
    const std::unique_ptr<pb::Message> response(method_.response->New());
    if (method_.pattern == rpc::Pattern::unary) {
      result_.status = co_await channel.unary(method_, context_, *request, *response);
      result_.sent = 1;
      if (result_.status.ok()) show(*response);
      co_return;
    }
    rpc::Result<std::unique_ptr<rpc::ClientCall>> call =
        co_await channel.open(method_, context_, request.get());
    if (!call) {
      result_.status = std::move(call).error();
      co_return;
    }
    result_.sent = 1;
    co_await receive_all(**call, *response);
  }

  /// The message of a method that takes one. False: it is settled that there is none.
  Task<bool> only_request(pb::Message& request) {
    for (std::size_t count = 0;; ++count) {
      auto document = co_await input_->next();
      if (!document) {
        give_up(document.error().code, std::move(document.error().message));
        co_return false;
      }
      if (!*document) co_return true;
      if (count == 1) {
        give_up(ExitCode::usage, fmt::format("{} takes one message, and {} has more",
                                             result_.method, input_->place()));
        co_return false;
      }
      if (!parse(**document, request)) co_return false;
    }
  }

  Task<void> call_with_many(rpc::Channel& channel, Runtime& runtime) {
    rpc::Result<std::unique_ptr<rpc::ClientCall>> call = co_await channel.open(method_, context_);
    if (!call) {
      result_.status = std::move(call).error();
      co_return;
    }
    Scope scope(runtime.ready());
    scope.spawn(send_all(**call));
    const std::unique_ptr<pb::Message> response(method_.response->New());
    if (method_.pattern == rpc::Pattern::bidi_stream) {
      co_await receive_all(**call, *response);
    } else {
      result_.status = co_await rpc::receive_only(**call, *response);
      if (result_.status.ok()) show(*response);
    }
  }

  Task<void> send_all(rpc::ClientCall& call) {
    const std::unique_ptr<pb::Message> request(method_.request->New());
    for (;;) {
      auto document = co_await input_->next();
      if (!document) give_up(document.error().code, std::move(document.error().message));
      if (!document || (*document && !parse(**document, *request))) {
        context_.cancel();
        co_return;
      }
      if (!*document) break;
      const bool sent = co_await call.send(*request);
      if (!sent) co_return;  // the call is over: why comes from there
      ++result_.sent;
    }
    call.half_close();
  }

  Task<void> receive_all(rpc::ClientCall& call, pb::Message& response) {
    for (;;) {
      const bool more = co_await call.receive(response);
      if (!more || !show(response)) break;
    }
    result_.status = co_await call.finish();
  }

  bool parse(const std::string& document, pb::Message& request) {
    rpc::JsonOptions how;
    how.ignore_unknown(options_.allow_unknown);
    const rpc::Status good = rpc::from_json(document, request, how);
    if (good.ok()) return true;
    give_up(ExitCode::usage,
            fmt::format("{} is no {}: {} (`--describe {}` shows what it has)", input_->place(),
                        method_.descriptor->input_type()->full_name(), good.message(),
                        method_.descriptor->input_type()->full_name()));
    return false;
  }

  bool show(const pb::Message& response) {
    if (result_.received++ == 0) output_.show_headers(context_.initial_metadata());
    const rpc::Result<void> shown = output_.show(response);
    if (!shown) {
      give_up(ExitCode::failed, "the response cannot be shown: " + shown.error().message());
    } else if (!output_.good()) {
      give_up(ExitCode::cannot_write, "cannot write to stdout");
    } else {
      return true;
    }
    context_.cancel();
    return false;
  }

  // ---- the end

  /// The first one counts.
  void give_up(ExitCode code, std::string message) {
    if (!result_.message.empty()) return;
    result_.code = code;
    result_.message = std::move(message);
  }

  void conclude() {
    result_.wire = context_.wire();
    result_.headers = context_.initial_metadata();
    result_.trailers = context_.trailing_metadata();
    if (result_.received == 0 && !result_.wire.empty()) output_.show_headers(result_.headers);
    if (result_.status.ok() || !result_.message.empty()) return;
    if (not_reached_ && result_.status.code() != rpc::Code::deadline_exceeded) return not_reached();
    result_.code = exit_code(result_.status.code());
    result_.message = result_.status.to_string() + fix(result_.status.code());
  }

  void not_reached() {
    result_.code = exit_code(*not_reached_);
    result_.message = options_.url + ": " + failure_message(*not_reached_, result_.code);
  }

  std::string fix(rpc::Code code) const {
    switch (code) {
      case rpc::Code::deadline_exceeded:
        return options_.timeout ? "; --timeout TIME gives it longer" : "";
      case rpc::Code::unauthenticated: return "; a token goes into -H 'authorization: Bearer …'";
      case rpc::Code::resource_exhausted:
        return "; a larger response passes with --max-message SIZE";
      case rpc::Code::unimplemented:
        return fmt::format("; `tern call --list {}` shows what the server has", server());
      default: return "";
    }
  }

  /// Services whose definitions are fetched to find what a wrong name was meant for.
  static constexpr std::size_t kMostSuggesting = 100;

  const CallOptions& options_;
  Schema schema_;
  CallOutput output_;
  std::optional<CallTarget> target_;
  rpc::Metadata metadata_;
  std::unique_ptr<CallInput> input_;
  std::optional<Error> not_reached_;
  std::optional<std::vector<std::string>> listing_;  // what --list and --describe learnt
  std::string path_;
  rpc::Method method_;
  rpc::ClientContext context_;
  CallResult result_;
  Signal* done_ = nullptr;
  bool interrupted_ = false;
};

}  // namespace

ExitCode run_call(const CallOptions& options) {
  pb::SetLogHandler(nullptr);  // what it has to say is in our own line
  return Call(options).run();
}

}  // namespace tern::cli
