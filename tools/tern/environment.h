#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "gateway/proxy.h"
#include "transport/quic/qlog.h"
#include "transport/tls/key_log.h"

/// What every verb takes from its environment: QLOGDIR, SSLKEYLOGFILE, the time, the user's folder.

namespace tern::cli {

/// SSLKEYLOGFILE; null when it is not set. Throws a Failure when the file cannot be opened.
std::shared_ptr<tls::KeyLog> key_log_from_environment();

/// `folder` if not empty, else QLOGDIR; null when neither is set. Throws a Failure.
quic::QlogOpener qlog_from_environment(const std::string& folder = {});

/// https_proxy and its like, but `proxy` and `except` instead where they are given; an empty
/// `proxy` is none. Throws a Failure for what is no proxy.
ProxyOptions proxies_from_environment(const std::optional<std::string>& proxy,
                                      const std::optional<std::string>& except);

UnixSeconds unix_now();

/// Where tern keeps what it makes for this user: $XDG_DATA_HOME/tern, else ~/.local/share/tern.
std::string data_folder();

/// For verbs with many sockets: as many descriptors as the system lets this process have (the hard
/// limit), instead of the 1024 that programs with select(2) want.
void raise_descriptor_limit();

}  // namespace tern::cli
