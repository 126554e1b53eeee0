#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "transport/quic/qlog.h"

namespace tern {

/// How the files are written: qlog 0.3, which most readers know (qvis; HTTP/3 events are newer), or
/// the drafts of July 2026 (main schema 14, QUIC and HTTP/3 events 13).
enum class QlogFormat : std::uint8_t { version_0_3, drafts };

/// A file for each connection in `folder` (made if it is not there): "<name>.sqlog", JSON-SEQ.
/// Lines are buffered and written when the connection ends or 64 KiB have come. A file that cannot
/// be opened means no qlog for that connection, nothing else. The opener may be used from any
/// thread.
Result<quic::QlogOpener> qlog_files(const std::string& folder,
                                    QlogFormat format = QlogFormat::version_0_3);

}  // namespace tern
