#include "rpc/services/debug_record.h"

#include <algorithm>
#include <utility>

#include "rpc/metadata.h"

namespace tern::rpc {

namespace {

/// As much of a text as is shown, cut between characters.
std::string shown(const std::string& text) {
  std::size_t end = std::min(text.size(), DebugPage::kShownText);
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
    --end;
  }
  return text.substr(0, end);
}

}  // namespace

DebugPage::Record::Record(const Services& services) {
  for (const std::shared_ptr<Service>& service : services) {
    for (const Method& method : service->methods()) methods_.try_emplace(method.path);
  }
}

DebugPage::Record::Place DebugPage::Record::begin(const ServerContext& context) {
  CallFigures call{context.method().path, context.dialect(),       std::string(context.wire()),
                   context.path().remote, context.runtime().now(), context.deadline()};
  const std::lock_guard lock(mutex_);
  ++methods_[call.method].started;
  return calls_.insert(calls_.end(), std::move(call));
}

void DebugPage::Record::end(Place place, const ServerContext& context, const Status& status) {
  ErrorFigures error;
  if (!status.ok()) {
    error.ended = context.runtime().now();
    error.code = status.code();
    error.text = shown(status.message());
    for (const auto& entry : context.metadata()) {
      if (error.metadata.size() == kShownNames) break;
      error.metadata.push_back(entry.key);
    }
  }
  const std::lock_guard lock(mutex_);
  ++methods_[place->method].ended[static_cast<std::size_t>(status.code())];
  if (!status.ok()) {
    error.call = std::move(*place);
    errors_.push_front(std::move(error));
    if (errors_.size() > kErrors) errors_.pop_back();
  }
  calls_.erase(place);
}

DebugFigures DebugPage::Record::figures(Timestamp now) const {
  DebugFigures figures;
  figures.now = now;
  const std::lock_guard lock(mutex_);
  figures.methods = methods_;
  figures.errors = errors_;
  figures.under_way = calls_.size();
  for (const CallFigures& call : calls_) {
    if (figures.calls.size() == kShownCalls) break;
    figures.calls.push_back(call);
  }
  return figures;
}

std::shared_ptr<DebugPage::Record::Source> DebugPage::Record::add(std::string name,
                                                                  const Channel& channel) {
  auto source = std::make_shared<Source>();
  source->name = std::move(name);
  source->channel = &channel;
  source->runtime = &channel.runtime();
  const std::lock_guard lock(mutex_);
  if (sources_.size() < kChannels) sources_.push_back(source);
  return source;
}

void DebugPage::Record::remove(const std::shared_ptr<Source>& source) {
  {
    const std::lock_guard lock(source->mutex);
    source->channel = nullptr;
    source->runtime = nullptr;
  }
  const std::lock_guard lock(mutex_);
  std::erase(sources_, source);
}

std::vector<std::shared_ptr<DebugPage::Record::Source>> DebugPage::Record::sources() const {
  const std::lock_guard lock(mutex_);
  return sources_;
}

}  // namespace tern::rpc
