#include "rpc/services/debug_page.h"

#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

#include "base/runtime.h"
#include "base/timer_heap.h"
#include "rpc/server_context.h"
#include "rpc/services/debug_record.h"

namespace tern::rpc {

namespace {

/// How long a channel's thread has to answer.
constexpr Duration kAnswerTime = std::chrono::seconds(1);

/// What the channels have said so far. Outlives a page that has given up waiting.
struct Answers {
  explicit Answers(Runtime& runtime) : asker(&runtime), changed(runtime) {}

  std::mutex mutex;
  std::vector<ChannelFigures> channels;
  std::size_t missing = 0;
  Runtime* asker;  // null: the page has gone
  Signal changed;
};

/// On a channel's thread.
void answer(const std::shared_ptr<Answers>& answers, std::size_t index,
            std::vector<Channel::Load> servers) {
  const std::lock_guard lock(answers->mutex);
  answers->channels[index].servers = std::move(servers);
  --answers->missing;
  if (answers->asker == nullptr || answers->missing > 0) return;
  answers->asker->submit([answers] { answers->changed.notify(); });
}

/// While a page waits for them.
class Asking {
 public:
  explicit Asking(Runtime& runtime) : answers(std::make_shared<Answers>(runtime)) {}
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  ~Asking() {
    const std::lock_guard lock(answers->mutex);
    answers->asker = nullptr;
  }
  const std::shared_ptr<Answers> answers;
};

template <typename Source>
void ask(const std::shared_ptr<Answers>& answers, std::size_t index,
         const std::shared_ptr<Source>& source) {
  const std::lock_guard lock(source->mutex);
  if (source->runtime == nullptr) return answer(answers, index, {});  // it has just gone
  source->runtime->submit([answers, index, source] {
    std::vector<Channel::Load> servers;
    {
      const std::lock_guard within(source->mutex);
      if (source->channel != nullptr) servers = source->channel->loads();
    }
    answer(answers, index, std::move(servers));
  });
}

template <typename Source>
Task<std::vector<ChannelFigures>> ask_all(Runtime& runtime,
                                          std::vector<std::shared_ptr<Source>> sources) {
  const Asking asking(runtime);
  const std::shared_ptr<Answers>& answers = asking.answers;
  for (const auto& source : sources) {
    ChannelFigures& channel = answers->channels.emplace_back();
    channel.name = source->name;
  }
  answers->missing = sources.size();
  Timer timer(runtime.timers(), [&answers](Timestamp) { answers->changed.notify(); });
  timer.arm(runtime.now() + kAnswerTime);
  for (std::size_t i = 0; i < sources.size(); ++i) ask(answers, i, sources[i]);
  if (!sources.empty()) co_await answers->changed.wait();
  const std::lock_guard lock(answers->mutex);
  co_return answers->channels;
}

bool wants_json(const http::RequestHead& request) {
  return request.query() == "format=json" ||
         request.fields.joined("accept").value_or("").starts_with("application/json");
}

/// Ends the call in the record however it ends.
template <typename Record>
class Watched {
 public:
  Watched(Record& record, ServerContext& context)
      : record_(record), context_(context), place_(record.begin(context)) {}
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  ~Watched() { record_.end(place_, context_, status_); }
  void end(const Status& status) {
    // What the handler of a call says for which nobody waits is not what becomes of it.
    status_ = context_.cancelled() ? context_.cancellation() : status;
  }

 private:
  Record& record_;
  ServerContext& context_;
  typename Record::Place place_;
  Status status_{Code::internal, "the handler failed"};
};

template <typename Record>
Task<Status> watch(std::shared_ptr<Record> record, ServerContext& context, const Next& next) {
  Watched<Record> watched(*record, context);
  Status status = co_await next();
  watched.end(status);
  co_return status;
}

template <typename Record>
Task<void> show(std::shared_ptr<const Record> record, http::Exchange& exchange) {
  DebugFigures figures = record->figures(exchange.runtime().now());
  figures.channels = co_await ask_all(exchange.runtime(), record->sources());
  const bool json = wants_json(exchange.request());
  http::Response response(http::Status::ok);
  response.field("content-type", json ? "application/json" : "text/html; charset=utf-8");
  response.field("cache-control", "no-store").field("vary", "accept");
  response.field("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'");
  response.body(Bytes::take(json ? debug_json(figures) : debug_html(figures)));
  co_await exchange.respond(std::move(response));
}

template <typename Record, typename Source>
class Listing final : public DebugPage::Listed {
 public:
  Listing(std::shared_ptr<Record> record, std::shared_ptr<Source> source)
      : record_(std::move(record)), source_(std::move(source)) {}
  ~Listing() override { record_->remove(source_); }

 private:
  std::shared_ptr<Record> record_;
  std::shared_ptr<Source> source_;
};

}  // namespace

DebugPage::DebugPage(const Services& services) : record_(std::make_shared<Record>(services)) {}

DebugPage::~DebugPage() = default;

Interceptor DebugPage::interceptor() const {
  return [record = record_](ServerContext& context, const Next& next) {
    return watch(record, context, next);
  };
}

http::Handler DebugPage::handler() const {
  return [record = std::shared_ptr<const Record>(record_)](http::Exchange& exchange) {
    return show(record, exchange);
  };
}

std::unique_ptr<DebugPage::Listed> DebugPage::add(std::string name, const Channel& channel) {
  return std::make_unique<Listing<Record, Record::Source>>(record_,
                                                           record_->add(std::move(name), channel));
}

}  // namespace tern::rpc
