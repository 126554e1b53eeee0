#include "transport/engine/handed_socket.h"

#include "base/check.h"
#include "transport/engine/engine_network.h"
#include "transport/engine/steering.h"
#include "transport/engine/tcp_network.h"

namespace tern::engine {

namespace {

SocketHandle& handle_of(udp::Socket& socket) {
  auto* handle = dynamic_cast<SocketHandle*>(&socket);
  TERN_CHECK(handle != nullptr);
  return *handle;
}

const ListenerHandle& handle_of(const tcp::Listener& listener) {
  const auto* handle = dynamic_cast<const ListenerHandle*>(&listener);
  TERN_CHECK(handle != nullptr);
  return *handle;
}

}  // namespace

int descriptor_of(const udp::Socket& socket) {
  return handle_of(const_cast<udp::Socket&>(socket)).state().fd;
}

Result<std::unique_ptr<udp::Socket>> adopt(udp::Network& network, int descriptor, bool group,
                                           udp::Sink& sink) {
  auto* engine = dynamic_cast<EngineNetwork*>(&network);
  TERN_CHECK(engine != nullptr);
  return engine->adopt(descriptor, group, sink);
}

void pause(udp::Socket& socket) {
  SocketHandle& handle = handle_of(socket);
  if (handle.state().paused) return;
  handle.state().paused = true;
  handle.network().pause(handle.state());
}

void resume(udp::Socket& socket) {
  SocketHandle& handle = handle_of(socket);
  if (!handle.state().paused) return;
  handle.state().paused = false;
  handle.network().resume(handle.state());
}

int descriptor_of(const tcp::Listener& listener) { return handle_of(listener).state().socket.fd(); }

Result<std::unique_ptr<tcp::Listener>> adopt(tcp::Network& network, int descriptor,
                                             const tcp::ListenOptions& options,
                                             tcp::ListenSink& sink) {
  auto* engine = dynamic_cast<TcpNetwork*>(&network);
  TERN_CHECK(engine != nullptr);
  return engine->adopt(descriptor, options, sink);
}

void pause(tcp::Listener& listener) {
  const ListenerHandle& handle = handle_of(listener);
  handle.network().pause(handle.state());
}

void resume(tcp::Listener& listener) {
  const ListenerHandle& handle = handle_of(listener);
  handle.network().resume(handle.state());
}

Result<void> steer(const udp::Socket& socket, std::uint8_t worker_offset, std::uint32_t count) {
  return attach_steering(descriptor_of(socket), worker_offset, count);
}

}  // namespace tern::engine
