#include "tools/tern/call_input.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

namespace tern::cli {

CallInput::CallInput(Runtime& runtime, const std::vector<std::string>& data) : runtime_(runtime) {
  for (const std::string& each : data) {
    Source source;
    if (!each.starts_with('@')) {
      source.name = "-d";
      source.text = each;
    } else if (each == "@" || each == "@-") {
      source.name = "stdin";
      source.is_stdin = true;
    } else {
      source.name = each.substr(1);
      source.file = std::make_unique<std::ifstream>(source.name, std::ios::binary);
      if (!*source.file || std::filesystem::is_directory(source.name)) {
        fail_with(ExitCode::cannot_read, fmt::format("-d @{}: cannot be read", source.name));
      }
    }
    sources_.push_back(std::move(source));
  }
}

std::string CallInput::place() const {
  const Source& source = sources_[std::min(at_, sources_.size() - 1)];
  if (source.name == "-d" || !documents_) return source.name;
  return fmt::format("{}, line {}", source.name, documents_->line());
}

Task<void> CallInput::fill() {
  Source& source = sources_[at_];
  if (source.is_stdin) {
    if (stdin_ == nullptr) {
      stdin_ = std::make_unique<InputReader>(runtime_, InputReader::Pieces::blocks);
    }
    std::optional<std::string> piece = co_await stdin_->next();
    if (piece) {
      documents_->push(*piece);
      co_return;
    }
  } else if (source.file != nullptr) {
    std::string block(InputReader::kBlock, '\0');
    source.file->read(block.data(), static_cast<std::streamsize>(block.size()));
    if (const auto count = static_cast<std::size_t>(source.file->gcount()); count > 0) {
      documents_->push(std::string_view(block).substr(0, count));
      co_return;
    }
  } else if (!source.text.empty()) {
    documents_->push(std::exchange(source.text, std::string()));
    co_return;
  }
  documents_->end();
  all_read_ = true;
}

Task<tl::expected<std::optional<std::string>, Failure>> CallInput::next() {
  while (at_ < sources_.size()) {
    if (!documents_) documents_.emplace(kLongest, rpc::JsonValues::Arrays::are_values);
    rpc::Result<std::optional<std::string>> document = documents_->next();
    if (!document) {
      Failure failure;
      failure.code = ExitCode::usage;
      failure.message = fmt::format("{}: {}", place(), document.error().message());
      co_return tl::unexpected<Failure>(std::move(failure));
    }
    if (*document) co_return std::move(*document);
    if (all_read_) {
      ++at_;
      documents_.reset();
      all_read_ = false;
    } else {
      co_await fill();
    }
  }
  co_return std::optional<std::string>();
}

}  // namespace tern::cli
