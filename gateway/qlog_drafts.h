#pragma once

#include <string>
#include <string_view>

namespace tern {

/// One record of a connection's qlog, as ngtcp2 and the sessions write it (qlog 0.3, which qvis
/// reads), in the form of the drafts of July 2026: main schema 14, QUIC events 13. What an HTTP/3
/// session writes has it already (HTTP/3 events 13).
std::string qlog_in_drafts(std::string_view record);

}  // namespace tern
