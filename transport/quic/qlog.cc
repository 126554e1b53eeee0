#include "transport/quic/qlog.h"

#include <fmt/format.h>

namespace tern::quic {

void QlogWriter::event(Timestamp now, std::string_view name, std::string_view data) {
  const double milliseconds = std::chrono::duration<double, std::milli>(now - begin_).count();
  sink_->write(fmt::format("\x1e{{\"time\":{:.3f},\"name\":\"{}\",\"data\":{}}}\n", milliseconds,
                           name, data));
}

}  // namespace tern::quic
