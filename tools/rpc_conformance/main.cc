#include <arpa/inet.h>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/runtime.h"
#include "connectrpc/conformance/v1/conformance.pb.h"
#include "gateway/client.h"
#include "gateway/server.h"
#include "http/router.h"
#include "rpc/dispatcher.h"
#include "tools/rpc_conformance/client.h"
#include "tools/rpc_conformance/service.h"
#include "tools/rpc_conformance/table.h"
#include "transport/engine/engine.h"
#include "transport/tls/certificate.h"
#include "transport/tls/development.h"

/// The Connect suite's program under test, and our own table of its cases:
///
///   rpc_conformance server               one ServerCompatRequest in, one ServerCompatResponse out
///   rpc_conformance client               ClientCompatRequests in, ClientCompatResponses out
///   rpc_conformance table CERT.pem KEY.pem
///
/// Messages on standard input and output have their length, four bytes big-endian, before them, as
/// the official runner has it. `table` starts the other two as that runner does, prints what came
/// as a table of Markdown, and exits 1 unless all of it was right.

namespace {

using namespace tern;
using namespace tern::rpc_conformance;
using namespace connectrpc::conformance::v1;

int complain(const std::string& what) {
  std::fprintf(stderr, "rpc_conformance: %s\n", what.c_str());
  return 1;
}

// ---- messages on descriptors --------------------------------------------------------------------

bool read_bytes(int from, char* out, std::size_t size) {
  while (size > 0) {
    const ssize_t count = ::read(from, out, size);
    if (count <= 0) return false;
    out += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

constexpr std::uint32_t kLargestMessage = 64 * 1024 * 1024;

template <typename Message>
bool read_message(int from, Message& message) {
  std::uint32_t size = 0;
  if (!read_bytes(from, reinterpret_cast<char*>(&size), sizeof size)) return false;
  size = ntohl(size);
  if (size > kLargestMessage) return false;
  std::string bytes(size, '\0');
  return read_bytes(from, bytes.data(), size) && message.ParseFromString(bytes);
}

template <typename Message>
bool write_message(int to, const Message& message) {
  std::string bytes = message.SerializeAsString();
  const std::uint32_t size = htonl(static_cast<std::uint32_t>(bytes.size()));
  bytes.insert(0, reinterpret_cast<const char*>(&size), sizeof size);
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t count = ::write(to, rest.data(), rest.size());
    if (count <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

// ---- the two programs under test ----------------------------------------------------------------

/// The path of a file in memory that says `text`, for options that name files. Lives as long as the
/// program. Empty: there is none.
std::string in_memory(const std::string& text) {
  const int file = ::memfd_create("rpc_conformance", MFD_CLOEXEC);
  if (file < 0 || ::write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return {};
  }
  return "/proc/self/fd/" + std::to_string(file);
}

/// A server has a certificate in any case; who calls it without TLS never sees this one.
Result<tls::Certificate> nobodys_certificate() {
  TERN_TRY(const auto network, engine::open());
  const tls::DevelopmentOptions options(network->unix_seconds());
  TERN_TRY(const tls::Identity authority, tls::make_authority(options));
  TERN_TRY(const tls::Identity leaf, tls::make_leaf(authority, options));
  return tls::Certificate::parse(leaf.certificate, leaf.key);
}

int run_server() {
  ServerCompatRequest request;
  if (!read_message(STDIN_FILENO, request)) return complain("no ServerCompatRequest");
  auto certificate = request.use_tls() ? tls::Certificate::parse(request.server_creds().cert(),
                                                                 request.server_creds().key())
                                       : nobodys_certificate();
  if (!certificate) return complain(certificate.error().to_string());
  ServerOptions options;
  options.certificate(std::move(*certificate)).listen("127.0.0.1:0");
  // Clear text is HTTP/2 by prior knowledge and HTTP/1.1.
  if (!request.use_tls()) options.cleartext("127.0.0.1:0");
  if (!request.client_tls_cert().empty()) {
    const std::string path = in_memory(request.client_tls_cert());
    if (path.empty()) return complain("no file in memory");
    options.client_ca(path);
  }
  rpc::ServeOptions serving;
  if (request.message_receive_limit() > 0) serving.max_request(request.message_receive_limit());
  http::Router router;
  router.mount("/", rpc::serve(conformance_service(), serving));
  Server server(std::move(options));
  if (auto started = server.start(router); !started) return complain(started.error().to_string());
  ServerCompatResponse response;
  response.set_host("127.0.0.1");
  response.set_port(request.use_tls() ? server.addresses().front().port()
                                      : server.cleartext_addresses().front().port());
  if (request.use_tls()) response.set_pem_cert(request.server_creds().cert());
  if (!write_message(STDOUT_FILENO, response)) return complain("standard output is closed");
  server.wait();
  return 0;
}

int run_client() {
  auto network = engine::open();
  if (!network) return complain(network.error().to_string());
  Runtime runtime(**network);
  std::map<std::string, std::unique_ptr<Client>> clients;  // by server and version
  ClientCompatRequest request;
  while (read_message(STDIN_FILENO, request)) {
    const std::string key = request.host() + ":" + std::to_string(request.port()) + "/" +
                            std::to_string(request.http_version()) +
                            (request.has_client_tls_creds() ? "/certificate" : "");
    std::unique_ptr<Client>& client = clients[key];
    if (!client) {
      auto options = client_options(request);
      if (!options) return complain(options.error().to_string());
      client = std::make_unique<Client>(runtime, **network, std::move(*options));
    }
    const ClientCompatResponse response = runtime.block_on(make_call(runtime, *client, request));
    if (!write_message(STDOUT_FILENO, response)) return complain("standard output is closed");
  }
  for (auto& [key, client] : clients) runtime.block_on(client->close());
  return 0;
}

// ---- the runner ---------------------------------------------------------------------------------

/// This program in another of its modes, with pipes to it.
class Child {
 public:
  explicit Child(const char* mode) {
    int in[2], out[2];
    if (::pipe(in) != 0 || ::pipe(out) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      for (const int each : {in[0], in[1], out[0], out[1]}) ::close(each);
      ::execl("/proc/self/exe", "rpc_conformance", mode, static_cast<char*>(nullptr));
      std::_Exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    to = in[1];
    from = out[0];
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::close(to);
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ::close(from);
  }

  int to = -1;
  int from = -1;

 private:
  pid_t pid_ = -1;
};

std::optional<std::string> file(const char* path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) return std::nullopt;
  return text.str();
}

struct Count {
  int passed = 0;
  int failed = 0;
};

/// Numbers of one cell of the table, by suite.
using Cell = std::map<std::string, Count>;

class Runner {
 public:
  Runner(std::string certificate, std::string key)
      : certificate_(std::move(certificate)), key_(std::move(key)) {}

  /// Everything for one dialect on one version of HTTP, with TLS or without. False: a program did
  /// not answer.
  bool play(Protocol protocol, HTTPVersion version, bool tls, Cell& cell) {
    Child client("client");
    for (const Serving serving : {Serving::plain, Serving::limited, Serving::mutual}) {
      if (serving == Serving::mutual && !tls) continue;
      Child server("server");
      ServerCompatRequest request;
      request.set_protocol(protocol);
      request.set_http_version(version);
      request.set_use_tls(tls);
      if (serving == Serving::limited) request.set_message_receive_limit(kMessageLimit);
      // The one certificate is everybody's.
      if (serving == Serving::mutual) request.set_client_tls_cert(certificate_);
      if (tls) {
        request.mutable_server_creds()->set_cert(certificate_);
        request.mutable_server_creds()->set_key(key_);
      }
      ServerCompatResponse response;
      if (!write_message(server.to, request) || !read_message(server.from, response)) return false;
      for (Case& each : cases(protocol, version)) {
        if (each.serving != serving) continue;
        if (!play(each, response, client, cell)) return false;
      }
    }
    return true;
  }

  const std::vector<std::string>& failures() const noexcept { return failures_; }

 private:
  bool play(Case& each, const ServerCompatResponse& server, Child& client, Cell& cell) {
    ClientCompatRequest request = each.request;
    if (request.has_client_tls_creds()) {
      request.mutable_client_tls_creds()->set_cert(certificate_);
      request.mutable_client_tls_creds()->set_key(key_);
    }
    request.set_host(server.host());
    request.set_port(server.port());
    request.set_server_tls_cert(server.pem_cert());
    ClientCompatResponse response;
    if (!write_message(client.to, request) || !read_message(client.from, response)) return false;
    std::string why = check(each, response);
    if (why.empty() && check(each, altered(response)).empty())
      why = "an altered response is taken, too";
    Count& count = cell[each.suite];
    ++(why.empty() ? count.passed : count.failed);
    if (!why.empty()) {
      failures_.push_back(Protocol_Name(request.protocol()) + " " +
                          HTTPVersion_Name(request.http_version()) + " " + request.test_name() +
                          ": " + why);
    }
    return true;
  }

  /// The response with one thing in it that is wrong: what a check is worth.
  static ClientCompatResponse altered(ClientCompatResponse response) {
    ClientResponseResult& result = *response.mutable_response();
    if (result.has_error()) {
      result.mutable_error()->set_code(result.error().code() % 16 + 1);
    } else if (result.payloads_size() > 0) {
      result.mutable_payloads(0)->mutable_data()->append("!");
    } else {
      result.add_payloads();
    }
    return response;
  }

  std::string certificate_;
  std::string key_;
  std::vector<std::string> failures_;
};

int run_table(const char* certificate_path, const char* key_path) {
  const auto certificate = file(certificate_path);
  const auto key = file(key_path);
  if (!certificate || !key) return complain("certificate or key cannot be read");
  struct Column {
    const char* name;
    Protocol protocol;
    HTTPVersion version;
    bool tls = true;
  };
  constexpr Column kColumns[] = {
      {"gRPC, HTTP/2", PROTOCOL_GRPC, HTTP_VERSION_2},
      {"gRPC, HTTP/3", PROTOCOL_GRPC, HTTP_VERSION_3},
      {"gRPC-Web, HTTP/1.1", PROTOCOL_GRPC_WEB, HTTP_VERSION_1},
      {"gRPC-Web, HTTP/2", PROTOCOL_GRPC_WEB, HTTP_VERSION_2},
      {"gRPC-Web, HTTP/3", PROTOCOL_GRPC_WEB, HTTP_VERSION_3},
      {"Connect, HTTP/1.1", PROTOCOL_CONNECT, HTTP_VERSION_1},
      {"Connect, HTTP/2", PROTOCOL_CONNECT, HTTP_VERSION_2},
      {"Connect, HTTP/3", PROTOCOL_CONNECT, HTTP_VERSION_3},
      {"gRPC, h2c", PROTOCOL_GRPC, HTTP_VERSION_2, false},
      {"gRPC-Web, HTTP/1.1 without TLS", PROTOCOL_GRPC_WEB, HTTP_VERSION_1, false},
      {"gRPC-Web, h2c", PROTOCOL_GRPC_WEB, HTTP_VERSION_2, false},
      {"Connect, HTTP/1.1 without TLS", PROTOCOL_CONNECT, HTTP_VERSION_1, false},
      {"Connect, h2c", PROTOCOL_CONNECT, HTTP_VERSION_2, false},
  };
  Runner runner(*certificate, *key);
  std::vector<Cell> cells;
  for (const Column& column : kColumns) {
    if (!runner.play(column.protocol, column.version, column.tls, cells.emplace_back())) {
      return complain(std::string(column.name) + ": a program under test did not answer");
    }
  }
  std::printf("| suite |");
  for (const Column& column : kColumns) std::printf(" %s |", column.name);
  std::printf("\n|---|");
  for (std::size_t i = 0; i < cells.size(); ++i) std::printf("---|");
  std::printf("\n");
  Cell all;
  for (const Cell& cell : cells) {
    for (const auto& [suite, count] : cell) {
      all[suite].passed += count.passed;
      all[suite].failed += count.failed;
    }
  }
  int passed = 0;
  for (const auto& [suite, count] : all) {
    passed += count.passed;
    std::printf("| %s |", suite.c_str());
    for (Cell& cell : cells) {
      const auto found = cell.find(suite);
      if (found == cell.end()) {
        std::printf(" – |");
      } else {
        std::printf(" %d/%d |", found->second.passed, found->second.passed + found->second.failed);
      }
    }
    std::printf("\n");
  }
  const std::size_t failed = runner.failures().size();
  if (failed > 0) std::printf("\n");
  for (const std::string& failure : runner.failures()) std::printf("- %s\n", failure.c_str());
  std::printf("\n%d passed, %zu failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  ::signal(SIGPIPE, SIG_IGN);
  const std::string_view mode = count > 1 ? arguments[1] : "";
  if (mode == "server" && count == 2) return run_server();
  if (mode == "client" && count == 2) return run_client();
  if (mode == "table" && count == 4) return run_table(arguments[2], arguments[3]);
  std::fputs("usage: rpc_conformance server | client | table CERT KEY\n", stderr);
  return 2;
}
