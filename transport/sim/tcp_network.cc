#include "transport/sim/tcp_network.h"

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "transport/sim/host.h"
#include "transport/sim/network.h"
#include "transport/sim/world.h"

namespace tern::sim {

namespace {

class SimStream final : public tcp::Stream {
 public:
  SimStream(SimTcp& network, std::shared_ptr<TcpConnection> connection)
      : network_(network), connection_(std::move(connection)) {
    connection_->adopt(network, *this);
  }
  ~SimStream() override {
    connection_->abandon();
    network_.stream_gone();
  }

  const udp::Address& local() const noexcept override { return connection_->ends().local; }
  const udp::Address& remote() const noexcept override { return connection_->ends().remote; }
  void attach(tcp::StreamSink& sink) override { connection_->attach(sink); }
  using tcp::Stream::write;
  Result<void> write(Bytes bytes) override { return connection_->write(std::move(bytes)); }
  std::size_t queued() const noexcept override { return connection_->queued(); }
  std::size_t low_water() const noexcept override { return connection_->low_water(); }
  void finish() override { connection_->finish(); }
  void reset() override { connection_->reset(); }
  void pause() override { connection_->pause(); }
  void resume() override { connection_->resume(); }
  bool paused() const noexcept override { return connection_->paused(); }
  tcp::StreamInfo info() const override { return connection_->info(); }

 private:
  SimTcp& network_;
  std::shared_ptr<TcpConnection> connection_;
};

class SimListener final : public tcp::Listener {
 public:
  SimListener(SimTcp& network, std::shared_ptr<TcpListening> listening)
      : network_(network), listening_(std::move(listening)) {
    listening_->handle = this;
  }
  ~SimListener() override { network_.close(*listening_); }
  const udp::Address& local() const noexcept override { return listening_->options.bind; }
  std::size_t open_streams() const noexcept override { return listening_->open_streams; }

 private:
  SimTcp& network_;
  std::shared_ptr<TcpListening> listening_;
};

}  // namespace

SimTcp::SimTcp(Host& host, Worker& worker, Counters& counters)
    : accepted(counters.at("tcp.accepted")),
      connected(counters.at("tcp.connected")),
      failed(counters.at("tcp.failed")),
      bytes_received(counters.at("tcp.receive.bytes")),
      host_(host),
      worker_(worker) {}

SimTcp::~SimTcp() { TERN_CHECK(handles_ == 0); }

Interface* SimTcp::find_device(const std::string& name) const {
  for (Interface* interface : host_.interfaces_) {
    if (interface->link->name() == name) return interface;
  }
  return nullptr;
}

Result<std::unique_ptr<tcp::Listener>> SimTcp::listen(const tcp::ListenOptions& options,
                                                      tcp::ListenSink& sink) {
  const auto refuse = [&](int error) {
    return fail(Error::os(error, "bind TCP " + options.bind.to_string() + " on " + host_.name()));
  };
  if (!options.bind.specified()) return refuse(EAFNOSUPPORT);
  if (!options.bind.is_wildcard() && !host_.owns(options.bind)) return refuse(EADDRNOTAVAIL);
  Interface* device = options.device.empty() ? nullptr : find_device(options.device);
  if (!options.device.empty() && device == nullptr) return refuse(ENODEV);
  auto listening = std::make_shared<TcpListening>(TcpListening{*this, options, sink, device});
  if (const int error = host_.tcp_->add(listening); error != 0) return refuse(error);
  ++handles_;
  ++host_.open_sockets_;
  return std::make_unique<SimListener>(*this, std::move(listening));
}

void SimTcp::close(TcpListening& listening) {
  listening.handle = nullptr;
  host_.tcp_->remove(listening);
  --handles_;
  --host_.open_sockets_;
}

Result<std::unique_ptr<tcp::Stream>> SimTcp::connect(const tcp::ConnectOptions& options,
                                                     tcp::StreamSink& sink) {
  if (!options.remote.specified() || options.remote.port() == 0) {
    return fail(Error::invalid("a connection needs an address and a port"));
  }
  TcpConnection::Ends ends;
  if (!options.device.empty()) {
    ends.device = find_device(options.device);
    if (ends.device == nullptr) return fail(Error::os(ENODEV, "bind to device " + options.device));
  }
  if (const int error = host_.tcp_->choose(options, ends); error != 0) {
    return fail(tcp::stream_error(error, options.remote));
  }
  const auto connection = host_.tcp_->open(ends, options.stream);
  ++handles_;
  ++host_.open_sockets_;
  auto stream = std::make_unique<SimStream>(*this, connection);
  connection->connect(*this, sink, options.timeout);
  return stream;
}

void SimTcp::stream_gone() {
  --handles_;
  --host_.open_sockets_;
}

void SimTcp::schedule(TcpConnection& connection) {
  if (std::exchange(connection.scheduled, true)) return;
  pending_.push_back(connection.shared_from_this());
  worker_.schedule(host_.world_.now());
}

void SimTcp::schedule(const std::shared_ptr<TcpListening>& listening) {
  if (std::exchange(listening->scheduled, true)) return;
  ready_.push_back(listening);
  worker_.schedule(host_.world_.now());
}

void SimTcp::write_later(TcpConnection& connection) {
  if (std::exchange(connection.dirty, true)) return;
  dirty_.push_back(connection.shared_from_this());
  worker_.schedule(host_.world_.now());
}

void SimTcp::flush() {
  const auto dirty = std::exchange(dirty_, {});
  for (const auto& connection : dirty) {
    connection->dirty = false;
    connection->flush();
  }
}

void SimTcp::reap(Timestamp now) {
  turning_.swap(pending_);
  for (const auto& connection : turning_) {
    connection->scheduled = false;
    connection->turn(now);
  }
  turning_.clear();
  for (const auto& listening : std::exchange(ready_, {})) {
    listening->scheduled = false;
    while (listening->handle != nullptr && !listening->backlog.empty() &&
           listening->open_streams < listening->options.max_streams) {
      const auto connection = listening->backlog.front();
      listening->backlog.pop_front();
      ++listening->open_streams;
      ++handles_;
      ++host_.open_sockets_;
      accepted.add();
      listening->sink.accepted(*listening->handle, std::make_unique<SimStream>(*this, connection));
    }
  }
}

}  // namespace tern::sim
