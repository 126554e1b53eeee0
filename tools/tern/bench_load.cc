#include "tools/tern/bench_load.h"

#include <algorithm>
#include <chrono>
#include <sys/resource.h>
#include <utility>

#include "base/fifo.h"
#include "gateway/client.h"

namespace tern::cli {
namespace {

constexpr std::size_t kMaxConnectFailures = 20;  // in a row, of one slot
constexpr std::size_t kMessageSize = 64;         // of WebSocket and WebTransport without --data

Duration own_cpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto duration = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return duration(usage.ru_utime) + duration(usage.ru_stime);
}

}  // namespace

Load::Load(Runtime& runtime, udp::Network& network, const BenchOptions& options, http::Url url,
           ProxyOptions proxies)
    : runtime_(runtime),
      network_(network),
      options_(options),
      url_(std::move(url)),
      proxies_(std::move(proxies)),
      changed_(runtime),
      scope_(runtime.ready()) {}

Load::~Load() {
  scope_.cancel();
  transport_.reset();
}

void Load::stop() {
  stopping_ = true;
  changed_.notify_all();
}

Result<void> Load::prepare() {
  head_.method =
      options_.method.empty() ? (options_.data.empty() ? "GET" : "POST") : options_.method;
  head_.scheme = url_.scheme();
  head_.authority = url_.authority();
  head_.path = url_.target();
  head_.fields.add("user-agent", "tern-bench/" TERN_VERSION);
  for (const std::string& line : options_.fields) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || colon == 0) {
      return fail(Error::invalid("header '" + line + "': write it as 'name: value'"));
    }
    const std::size_t value = line.find_first_not_of(' ', colon + 1);
    head_.fields.add(line.substr(0, colon), value == std::string::npos ? "" : line.substr(value));
  }
  if (options_.websocket || options_.webtransport) {
    body_ = Bytes::copy(options_.data.empty() ? std::string(kMessageSize, 'x') : options_.data);
  } else if (!options_.data.empty()) {
    body_ = Bytes::copy(options_.data);
    head_.fields.add("content-length", std::to_string(body_.size()));
  }
  return {};
}

Task<Result<udp::Address>> Load::find_server() {
  Result<std::vector<udp::Address>> addresses = co_await look_up();
  if (!addresses) co_return fail(std::move(addresses).error());
  if (addresses->size() == 1) co_return addresses->front();
  // A name has several, and the server may not listen on all: the one that answers a client.
  ClientOptions settings;
  settings.insecure(options_.insecure).chacha20_only(options_.chacha20).ca_file(options_.ca_file);
  settings.proxy(proxies_);
  if (!options_.versions.empty()) settings.only_version(options_.versions.front());
  switch (options_.protocol) {
    case BenchProtocol::http3: settings.protocols(ClientProtocols::http3_only); break;
    case BenchProtocol::http2: settings.protocols(ClientProtocols::http2); break;
    case BenchProtocol::http1: settings.protocols(ClientProtocols::http1); break;
  }
  Client client(runtime_, network_, std::move(settings));
  Result<void> connected = co_await client.connect(url_.to_string());
  if (!connected) co_return fail(std::move(connected).error());
  const udp::Address answered = client.connections().front().path.remote;
  co_await client.close();
  co_return answered;
}

Task<Result<std::vector<udp::Address>>> Load::look_up() {
  const std::optional<Proxy> proxy = proxies_.proxy_for(url_);
  const std::string host = proxy ? proxy->host() : url_.host();
  const std::uint16_t port = proxy ? proxy->port() : url_.port();
  if (const auto literal = udp::Address::parse_ip(host, port)) {
    std::vector<udp::Address> alone(1, *literal);
    co_return alone;
  }
  std::optional<Result<std::vector<udp::Address>>> found;
  Signal done(runtime_);
  const auto answer = [&](Result<std::vector<udp::Address>> result) {
    found = std::move(result);
    done.notify();
  };
  network_.resolve(host, port, answer);
  co_await done.wait();
  if (!*found || (*found)->empty()) {
    co_return fail(Error(Code::not_found, "cannot resolve " + host));
  }
  co_return std::move(*found);
}

Task<Result<void>> Load::connect(BenchConnection& connection, std::size_t number) {
  connection = BenchConnection();
  connection.begun = runtime_.now();
  connection.opening = true;
  Result<void> opened = transport_->open(connection, number);
  if (!opened) {
    connection.opening = false;
    connection.failure = opened.error();
    co_return opened;
  }
  while (connection.opening) co_await changed_.wait();
  if (connection.failure) co_return fail(*connection.failure);
  co_return Result<void>();
}

Task<void> Load::connect_some(std::size_t first, std::size_t step) {
  for (std::size_t i = first; i < connections_.size() && !stopping_; i += step) {
    BenchConnection& connection = *connections_[i];
    Result<void> connected = co_await connect(connection, i);
    if (connected) {
      report_->connect.record(runtime_.now() - connection.begun);
    } else {
      report_->count_error(connected.error());
    }
  }
  --running_;
  changed_.notify_all();
}

Task<void> Load::connect_all() {
  const std::size_t step = std::min(kMaxOpening, connections_.size());
  running_ = step;
  for (std::size_t i = 0; i < step; ++i) scope_.spawn(connect_some(i, step));
  while (running_ != 0) co_await changed_.wait();
}

bool Load::take_ticket(Timestamp& begin) {
  if (stopping_ || tickets_ >= ticket_limit_) return false;
  begin = runtime_.now();
  if (options_.rate > 0) {
    const double at = static_cast<double>(tickets_) / options_.rate;
    begin = phase_begun_ + Duration(static_cast<Duration::rep>(at * 1e9));
  }
  ++tickets_;
  return true;
}

Task<Result<void>> Load::request(BenchConnection& connection, int& status) {
  Result<std::unique_ptr<http::ClientExchange>> opened = connection.session->open();
  if (!opened) co_return fail(std::move(opened).error());
  http::ClientExchange& exchange = **opened;
  Result<void> sent = co_await exchange.send(head_, body_.empty());
  if (sent && !body_.empty()) sent = co_await exchange.finish(body_);
  Result<http::Response> head = co_await exchange.response();
  if (!head) co_return fail(std::move(head).error());
  status = http::code(head->status());
  while (true) {
    Result<Bytes> piece = co_await exchange.read();
    if (!piece) co_return fail(std::move(piece).error());
    if (piece->empty()) break;
    if (measuring_) report_->bytes += piece->size();
  }
  co_return Result<void>();
}

void Load::note(Timestamp begin, const Result<void>& outcome, int status) {
  ++done_;
  if (!measuring_) return;
  if (!outcome) {
    report_->count_error(outcome.error());
    return;
  }
  ++report_->requests;
  if (status != 0) ++report_->statuses[status];
  report_->latency.record(runtime_.now() - begin);
}

Task<void> Load::request_slot(BenchConnection& connection, std::size_t number) {
  std::size_t failures = 0;
  Timestamp begin{};
  while (take_ticket(begin)) {
    if (begin > runtime_.now()) co_await runtime_.sleep(begin - runtime_.now());
    // After a GOAWAY the session closes once its requests are over.
    while (connection.session != nullptr && !connection.session->accepts_requests()) {
      co_await changed_.wait();
    }
    if (connection.session == nullptr) {
      // The first slot that finds the connection gone opens another; the others wait for it.
      Result<void> connected;
      if (!connection.opening) {
        connected = co_await connect(connection, number);
      } else {
        while (connection.opening) co_await changed_.wait();
        if (connection.failure) connected = fail(*connection.failure);
      }
      if (!connected) {
        note(begin, connected, 0);
        if (++failures >= kMaxConnectFailures) break;
        continue;
      }
      if (connection.session == nullptr) {
        connected = fail(Error::closed("the connection was closed at once"));
        note(begin, connected, 0);
        continue;
      }
    }
    int status = 0;
    Result<void> outcome = co_await request(connection, status);
    note(begin, outcome, status);
    failures = 0;
  }
  --running_;
  changed_.notify_all();
}

/// One message that was sent comes back.
Task<Result<void>> Load::echoed(http::WebSocket& socket) {
  const std::optional<http::WebSocketMessage> message = co_await socket.receive();
  if (!message) {
    co_return fail(socket.error() ? *socket.error() : Error::closed("the server has closed"));
  }
  if (message->bytes().size() != body_.size()) {
    co_return fail(Error(Code::invalid, "what came back is not what was sent", Origin::remote));
  }
  if (measuring_) report_->bytes += message->data.size();
  co_return Result<void>();
}

/// Keeps `in_flight` messages under way.
Task<void> Load::echo(http::WebSocket& socket) {
  Fifo<Timestamp> begun;
  Timestamp begin{};
  while (!socket.ended()) {
    while (begun.size() < options_.in_flight && take_ticket(begin)) {
      if (begin > runtime_.now()) co_await runtime_.sleep(begin - runtime_.now());
      begun.push(begin);
      // That it fails, the answer that does not come tells as well.
      const Result<void> sent = co_await socket.send_binary(body_);
      if (!sent) break;
    }
    if (begun.empty()) co_return;
    const Result<void> outcome = co_await echoed(socket);
    note(begun.pop(), outcome, 0);
  }
}

Task<void> Load::websocket_slot(BenchConnection& connection) {
  Result<std::unique_ptr<http::WebSocket>> opened;
  if (connection.session == nullptr) {
    opened = fail(connection.failure ? *connection.failure : Error::closed());
  } else if (auto exchange = connection.session->open(); !exchange) {
    opened = fail(std::move(exchange).error());
  } else {
    http::RequestHead head = head_;
    http::WebSocketOptions options;
    options.deflate(http::WebSocketDeflateOptions().enabled(false));
    opened =
        co_await http::open_websocket(std::move(*exchange), std::move(head), std::move(options));
  }
  if (!opened) {
    report_->count_error(opened.error());
  } else if (options_.idle) {
    while (!stopping_ && !(*opened)->ended()) co_await changed_.wait();
  } else {
    co_await echo(**opened);
  }
  --running_;
  changed_.notify_all();
}

Task<void> Load::handshake_slot(std::size_t number) {
  std::size_t failures = 0;
  Timestamp begin{};
  while (take_ticket(begin)) {
    if (begin > runtime_.now()) co_await runtime_.sleep(begin - runtime_.now());
    BenchConnection& connection = *connections_[number];
    Result<void> connected = co_await connect(connection, number);
    ++done_;
    if (connected) {
      failures = 0;
      if (measuring_) report_->latency.record(runtime_.now() - begin);
      // A close in the same flight would take the place of our Finished.
      while (!connection.confirmed && connection.session != nullptr) co_await changed_.wait();
      if (connection.session != nullptr) connection.session->close();
      while (connection.session != nullptr) co_await changed_.wait();
    } else {
      if (measuring_) report_->count_error(connected.error());
      if (++failures >= kMaxConnectFailures) break;
    }
  }
  --running_;
  changed_.notify_all();
}

Task<Result<void>> Load::first_session() {
  BenchConnection& connection = *connections_[0];
  Result<void> connected = co_await connect(connection, 0);
  if (!connected) co_return connected;
  if (options_.protocol != BenchProtocol::http3) {
    // Some servers (BoringSSL's) send their tickets with the first answer.
    int status = 0;
    const Result<void> asked = co_await request(connection, status);
    if (!asked) co_return asked;
  }
  const Timestamp deadline = runtime_.now() + std::chrono::seconds(2);
  Timer timer(runtime_.timers(), [this](Timestamp) { changed_.notify_all(); });
  while (!transport_->can_resume() && runtime_.now() < deadline && !connection.failure) {
    timer.arm(runtime_.now() + std::chrono::milliseconds(5));
    co_await changed_.wait();
  }
  if (connection.session != nullptr) connection.session->close();
  while (connection.session != nullptr) co_await changed_.wait();
  if (!transport_->can_resume()) {
    co_return fail(Error(Code::unsupported, "the server gives no session tickets"));
  }
  co_return Result<void>();
}

Task<void> Load::wait_until(Timestamp deadline) {
  Timer timer(runtime_.timers(), [this](Timestamp) { changed_.notify_all(); });
  timer.arm(deadline);
  while (running_ != 0 && !stopping_ && runtime_.now() < deadline) co_await changed_.wait();
}

void Load::begin_measuring(BenchReport& report) {
  report.handshakes = 0;
  report.resumed = 0;
  phase_begun_ = runtime_.now();
  tickets_ = 0;
  done_ = 0;
  ticket_limit_ = options_.requests.value_or(UINT64_MAX);
  client_before_ = own_cpu();
  if (report.server_pid) server_before_ = process_use(*report.server_pid);
  measuring_ = true;
}

void Load::end_measuring(BenchReport& report) {
  measuring_ = false;
  report.elapsed = runtime_.now() - phase_begun_;
  report.client_cpu = own_cpu() - client_before_;
  if (report.server_pid && server_before_) {
    if (const auto now = process_use(*report.server_pid)) {
      report.server_cpu = now->cpu - server_before_->cpu;
      report.server_memory = now->resident_bytes;
    }
  }
  for (const auto& connection : connections_) {
    if (connection->session != nullptr) ++report.connections;
  }
}

Result<std::unique_ptr<BenchTransport>> Load::make_transport(BenchReport& report) {
  const BenchTransport::Load load{runtime_, network_, options_, url_,
                                  proxies_, remote_,  report,   changed_};
  return options_.protocol == BenchProtocol::http3 ? BenchTransport::over_quic(load)
                                                   : BenchTransport::over_tcp(load);
}

/// Whose CPU and memory are measured: the process that the options name, or on this machine the
/// one that owns the port.
void Load::find_process(BenchReport& report) {
  if (options_.server_pid != 0) {
    report.server_pid = options_.server_pid;
  } else if (remote_.is_loopback()) {
    report.server_pid = owner_of_port(
        options_.protocol == BenchProtocol::http3 ? PortKind::udp : PortKind::tcp, remote_.port());
  }
  if (!report.server_pid) return;
  if (const auto before = process_use(*report.server_pid)) {
    report.server_memory_before = before->resident_bytes;
  }
}

/// Those that are there before anything is measured. False: told to stop before one stood.
Task<Result<bool>> Load::open_connections(BenchReport& report) {
  for (std::size_t i = 0; i < options_.connections; ++i) {
    connections_.push_back(std::make_unique<BenchConnection>());
  }
  if (options_.resume) {
    Result<void> got = co_await first_session();
    if (!got) co_return fail(std::move(got).error());
  }
  if (options_.connect) co_return true;
  co_await connect_all();
  const auto is_open = [](const auto& connection) { return connection->session != nullptr; };
  if (std::none_of(connections_.begin(), connections_.end(), is_open)) {
    if (stopping_) co_return false;
    Error error = *connections_.front()->failure;
    if (error.domain == Domain::os || error.is(Code::timed_out)) {
      error.detail = "cannot connect to " + report.remote + ": " + error.detail;
    }
    co_return fail(std::move(error));
  }
  report.handshake = transport_->handshake();
  co_return true;
}

void Load::start_slots() {
  if (options_.idle && !options_.websocket && !options_.webtransport) {
    ++running_;  // nobody works, and the time goes by all the same
    return;
  }
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    if (options_.connect) {
      ++running_;
      scope_.spawn(handshake_slot(i));
      continue;
    }
    const std::size_t slots = options_.webtransport ? options_.sessions : options_.streams;
    for (std::size_t slot = 0; slot < slots; ++slot) {
      ++running_;
      if (options_.webtransport) {
        scope_.spawn(session_slot(*connections_[i]));
      } else if (options_.websocket) {
        scope_.spawn(websocket_slot(*connections_[i]));
      } else {
        scope_.spawn(request_slot(*connections_[i], i));
      }
    }
  }
}

Task<Result<void>> Load::run(BenchReport& report) {
  report_ = &report;
  report.url = options_.url;
  report.engine = network_.description();
  switch (options_.protocol) {
    case BenchProtocol::http3: report.protocol = "h3"; break;
    case BenchProtocol::http2: report.protocol = "h2"; break;
    case BenchProtocol::http1: report.protocol = "http/1.1"; break;
  }
  const Result<void> prepared = prepare();
  if (!prepared) co_return prepared;
  Result<udp::Address> remote = co_await find_server();
  if (!remote) co_return fail(std::move(remote).error());
  remote_ = *remote;
  report.remote = remote_.to_string();
  find_process(report);
  auto transport = make_transport(report);
  if (!transport) co_return fail(std::move(transport).error());
  transport_ = std::move(*transport);
  Result<bool> opened = co_await open_connections(report);
  if (!opened) co_return fail(std::move(opened).error());
  if (!*opened) co_return Result<void>();

  const Duration duration = options_.duration.value_or(
      options_.requests ? Duration(std::chrono::hours(24)) : Duration(std::chrono::seconds(5)));
  const Duration warm_up = options_.warm_up.value_or(Duration::zero());
  phase_begun_ = runtime_.now();
  if (warm_up == Duration::zero()) begin_measuring(report);
  start_slots();
  if (warm_up != Duration::zero()) {
    co_await wait_until(runtime_.now() + warm_up);
    begin_measuring(report);
  }
  co_await wait_until(phase_begun_ + duration);
  end_measuring(report);
  stopping_ = true;
  scope_.cancel();
  transport_->close_all();
  co_await runtime_.sleep(std::chrono::milliseconds(10));
  co_return Result<void>();
}

}  // namespace tern::cli
