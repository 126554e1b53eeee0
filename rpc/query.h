#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tern::rpc {

/// Walks over a query's parameters (application/x-www-form-urlencoded: '+' is a space).
///
///   for (QueryReader reader(query); reader.next();) use(reader.name(), reader.value());
class QueryReader {
 public:
  /// Parameters of one query; beyond it the query is malformed.
  static constexpr std::size_t kMaxParameters = 1024;

  explicit QueryReader(std::string_view query) noexcept : rest_(query) {}

  /// False at the end, and at what cannot be decoded (`failed`). Empty parameters ("a=1&&b=2") are
  /// skipped.
  bool next();
  const std::string& name() const noexcept { return name_; }
  const std::string& value() const noexcept { return value_; }
  bool failed() const noexcept { return failed_; }

 private:
  std::string_view rest_;
  std::string name_;
  std::string value_;
  std::size_t count_ = 0;
  bool failed_ = false;
};

}  // namespace tern::rpc
