#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "base/time.h"
#include "rpc/channel.h"
#include "rpc/server_context.h"
#include "rpc/services/debug_page.h"
#include "rpc/status.h"
#include "transport/udp/address.h"

/// What a DebugPage knows. Private to the room.

namespace tern::rpc {

/// How one method does.
struct MethodFigures {
  std::uint64_t started = 0;
  std::array<std::uint64_t, kCodes> ended{};

  std::uint64_t under_way() const noexcept {
    std::uint64_t count = started;
    for (const std::uint64_t each : ended) count -= each;
    return count;
  }
};

/// One call as it was begun.
struct CallFigures {
  std::string_view method;  ///< Method::path
  DialectId dialect = DialectId::grpc;
  std::string wire;
  udp::Address peer;
  Timestamp begun{};
  std::optional<Timestamp> deadline;
};

struct ErrorFigures {
  CallFigures call;
  Timestamp ended{};
  Code code = Code::ok;
  std::string text;                   ///< at most DebugPage::kShownText
  std::vector<std::string> metadata;  ///< names alone, at most kShownNames
};

/// A channel, and what it said; nothing: its thread did not answer in time.
struct ChannelFigures {
  std::string name;
  std::optional<std::vector<Channel::Load>> servers;
};

struct DebugFigures {
  Timestamp now{};
  std::map<std::string_view, MethodFigures> methods;
  std::uint64_t under_way = 0;
  std::vector<CallFigures> calls;   ///< the oldest first
  std::deque<ErrorFigures> errors;  ///< the latest first
  std::vector<ChannelFigures> channels;
};

std::string debug_html(const DebugFigures& figures);
std::string debug_json(const DebugFigures& figures);

/// Shared by all workers.
class DebugPage::Record : public std::enable_shared_from_this<DebugPage::Record> {
 public:
  static constexpr std::size_t kShownNames = 16;

  explicit Record(const Services& services);

  using Place = std::list<CallFigures>::iterator;
  Place begin(const ServerContext& context);
  void end(Place place, const ServerContext& context, const Status& status);

  /// What is known here; channels come later.
  DebugFigures figures(Timestamp now) const;

  /// A channel that may go while its thread is about to be asked.
  struct Source {
    std::mutex mutex;
    std::string name;
    const Channel* channel = nullptr;  // null: it has gone
    Runtime* runtime = nullptr;
  };
  std::shared_ptr<Source> add(std::string name, const Channel& channel);
  void remove(const std::shared_ptr<Source>& source);
  std::vector<std::shared_ptr<Source>> sources() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string_view, MethodFigures> methods_;
  std::list<CallFigures> calls_;
  std::deque<ErrorFigures> errors_;
  std::vector<std::shared_ptr<Source>> sources_;
};

}  // namespace tern::rpc
