#pragma once

#include <cstddef>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/runtime.h"
#include "base/task.h"
#include "rpc/json_values.h"
#include "tools/tern/exit_code.h"
#include "tools/tern/input_reader.h"

namespace tern::cli {

/// The JSON of a call's requests: what `-d` names, one after the other.
class CallInput {
 public:
  /// The largest document, in bytes.
  static constexpr std::size_t kLongest = std::size_t{64} * 1024 * 1024;

  /// `data`: JSON, "@FILE", or "@-" and "@" for stdin, which is read when its turn comes. Throws a
  /// Failure for a file that cannot be opened. Make it when signals are blocked (SignalThread).
  CallInput(Runtime& runtime, const std::vector<std::string>& data);

  /// The next document; nothing: that was all. A Failure as a value for what is no JSON.
  Task<tl::expected<std::optional<std::string>, Failure>> next();
  /// Where the last document came from, for complaints: "-d", "requests.json, line 12".
  std::string place() const;

 private:
  struct Source {
    std::string name;
    std::string text;                     // -d's own
    std::unique_ptr<std::ifstream> file;  // null: not a file
    bool is_stdin = false;
  };
  /// More of the source for `documents_`; or its end.
  Task<void> fill();

  Runtime& runtime_;
  std::vector<Source> sources_;
  std::size_t at_ = 0;
  std::optional<rpc::JsonValues> documents_;  // of the source
  bool all_read_ = false;                     // of the source
  std::unique_ptr<InputReader> stdin_;
};

}  // namespace tern::cli
