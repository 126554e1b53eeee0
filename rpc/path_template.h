#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

/// Path templates of google.api.http, and a table that finds the one a request's path matches.
///
///   Template = "/" Segments [ ":" LITERAL ]          Segment  = "*" | "**" | LITERAL | Variable
///   Segments = Segment { "/" Segment }               Variable = "{" FieldPath [ "=" Segments ] "}"
///
/// `*` is one segment that is not empty, `**` is zero or more and stands last; `{name}` means
/// `{name=*}`. Variables hold no variables.

namespace tern::rpc {

/// A parsed template. A value.
class PathTemplate {
 public:
  /// Segments of one template.
  static constexpr std::size_t kMaxSegments = 64;

  struct Segment {
    enum class Kind : std::uint8_t { literal, one, rest };
    Kind kind = Kind::literal;
    std::string text;  ///< a literal's, percent-decoded
    friend bool operator==(const Segment&, const Segment&) = default;
  };

  struct Variable {
    std::string field_path;  ///< "book.name"
    std::size_t first = 0;   ///< its first segment
    std::size_t end = 0;     ///< one past its last
    /// More than one segment may come: then `%2F` in a value stays as it is, as it would otherwise
    /// become a '/' that was none.
    bool multiple = false;
    bool open = false;  ///< ends in `**`: it goes to the path's end
  };

  /// Error invalid says where `text` breaks the grammar.
  static tern::Result<PathTemplate> parse(std::string_view text);

  const std::vector<Segment>& segments() const noexcept { return segments_; }
  const std::vector<Variable>& variables() const noexcept { return variables_; }
  /// Without its colon; empty: none.
  const std::string& verb() const noexcept { return verb_; }

 private:
  friend class TemplateParser;
  std::vector<Segment> segments_;
  std::vector<Variable> variables_;
  std::string verb_;
};

/// Templates by HTTP method. Of several that match, the one whose first different segment is the
/// more particular wins: a literal before `*`, `*` before `**`; a template with the request's verb
/// before one that takes the verb for text. Built once, then only read: by any thread.
class PathTable {
 public:
  PathTable();
  PathTable(PathTable&&) noexcept;
  PathTable& operator=(PathTable&&) noexcept;
  ~PathTable();

  /// `method` "*" stands for every method that has no route of its own. Error invalid when a
  /// template of the same shape, verb and method is there already: nothing could tell the two
  /// apart.
  tern::Result<void> add(std::string_view method, const PathTemplate& path, std::size_t route);

  struct Match {
    enum class Outcome : std::uint8_t { found, no_path, no_method, malformed };
    Outcome outcome = Outcome::no_path;
    std::size_t route = 0;
    /// The values of the template's variables in their order, percent-decoded.
    std::vector<std::string> values;
    /// For `no_method`: the methods there are, as `allow` wants them.
    std::string allow;
  };
  /// `path`: without the query, as it was sent. HEAD is GET's where it has no route of its own.
  /// `malformed`: a percent sign in a value without two hexadecimal digits.
  /// `decode_slashes`: HttpRule's fully_decode_reserved_expansion.
  Match find(std::string_view method, std::string_view path, bool decode_slashes = false) const;

 private:
  struct Node;
  std::vector<Node> nodes_;
};

}  // namespace tern::rpc
