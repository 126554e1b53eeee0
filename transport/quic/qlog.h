#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"

namespace tern::quic {

/// Takes one connection's qlog as it is written: JSON-SEQ records (RFC 7464), each whole. Called
/// in the connection's turn; a file-backed sink buffers. Destroyed with the connection.
class QlogSink {
 public:
  virtual ~QlogSink() = default;
  virtual void write(std::string_view bytes) = 0;
};

/// Opens the sink of a connection; nullptr: no qlog for this one. `name` is
/// "<original DCID in hex>_server" or "…_client", without an ending.
using QlogOpener = std::function<std::unique_ptr<QlogSink>(std::string_view name)>;

/// One connection's qlog. ngtcp2 writes the QUIC events; sessions above add their own with `event`.
class QlogWriter {
 public:
  QlogWriter(std::unique_ptr<QlogSink> sink, Timestamp begin) noexcept
      : sink_(std::move(sink)), begin_(begin) {}

  /// ngtcp2's own records.
  void raw(std::string_view bytes) { sink_->write(bytes); }
  /// {"time":…,"name":name,"data":data}; `data` is a JSON object.
  void event(Timestamp now, std::string_view name, std::string_view data);

 private:
  std::unique_ptr<QlogSink> sink_;
  Timestamp begin_;
};

}  // namespace tern::quic
