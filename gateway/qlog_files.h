#pragma once

#include <string>

#include "base/error.h"
#include "transport/quic/qlog.h"

namespace tern {

/// A file for each connection in `folder` (made if it is not there): "<name>.sqlog", JSON-SEQ as
/// qvis reads it. Lines are buffered and written when the connection ends or 64 KiB have come. A
/// file that cannot be opened means no qlog for that connection, nothing else. The opener may be
/// used from any thread.
Result<quic::QlogOpener> qlog_files(const std::string& folder);

}  // namespace tern
