#include "gateway/server_shared.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <system_error>
#include <utility>

#include "gateway/qlog_files.h"
#include "gateway/server_worker.h"
#include "transport/tls/private_file.h"
#include "webtransport/http2.h"

namespace tern {
namespace {

constexpr UnixSeconds kSharedKeysInterval = 60;  // seconds between two looks at the state folder

/// Seconds until the key that has sealed a ticket may be gone from the ring.
std::uint32_t ticket_lifetime(Duration key_rotation) {
  const auto period = std::chrono::duration_cast<std::chrono::seconds>(key_rotation).count();
  // Whatever is more than TLS allows is cut there.
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max() / tls::KeyRing::kMaxKeys;
  return static_cast<std::uint32_t>(std::min<std::int64_t>(period, kMost) *
                                    (tls::KeyRing::kMaxKeys - 1));
}

Result<udp::Address> parse_listen(const std::string& text) {
  const std::string full = text.starts_with(':') ? "[::]" + text : text;
  auto address = udp::Address::parse(full);
  if (!address) {
    return fail(Error::invalid("address '" + text +
                               "': give an IP address and a port, such as [::]:4433, "
                               "127.0.0.1:4433 or :4433"));
  }
  return address;
}

std::string to_hex(const std::array<std::uint8_t, 32>& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::optional<std::array<std::uint8_t, 32>> key_from_hex(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  std::array<std::uint8_t, 32> bytes{};
  if (text.size() != 2 * bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t value = std::string_view("0123456789abcdef").find(text[i]);
    if (value == std::string_view::npos) return std::nullopt;
    bytes[i / 2] = static_cast<std::uint8_t>(bytes[i / 2] << 4 | value);
  }
  return bytes;
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

}  // namespace

Result<void> ServerShared::prepare(Runtime& runtime) {
  const http::ConnectionAge& age = options.age_;
  if (age.limit < Duration::zero() || age.grace.value_or(Duration::zero()) < Duration::zero()) {
    return fail(Error::invalid("the connections' age and its grace cannot be negative"));
  }
  if (options.key_rotation_ < std::chrono::seconds(1)) {
    return fail(Error::invalid("the keys' rotation: at least a second"));
  }
  listen_.clear();
  preferred_.clear();
  cleartext_.clear();
  for (const std::string& text : options.cleartext_) {
    TERN_TRY(const udp::Address address, parse_listen(text));
    cleartext_.push_back(address);
  }
  for (const std::string& text : options.listen_) {
    TERN_TRY(const udp::Address address, parse_listen(text));
    listen_.push_back(address);
  }
  for (const std::string& text : options.preferred_addresses_) {
    auto address = udp::Address::parse(text);
    if (!address || address->is_wildcard() || address->port() == 0) {
      return fail(Error::invalid("preferred address '" + text +
                                 "': give an address and a port that clients can reach"));
    }
    // RFC 9000 §18.2 has room for one of each family.
    const bool second =
        std::any_of(preferred_.begin(), preferred_.end(),
                    [&](const udp::Address& other) { return other.is_v4() == address->is_v4(); });
    if (second) {
      return fail(Error::invalid("preferred address '" + text + "': a second one for " +
                                 (address->is_v4() ? "IPv4" : "IPv6")));
    }
    (address->is_v4() ? options.transport_.preferred_v4 : options.transport_.preferred_v6) =
        *address;
    preferred_.push_back(*address);
  }
  TERN_TRY(cids, quic::CidGenerator::create(options.cids_));
  if (!cids->encrypted()) worker_offset = quic::CidGenerator::kWorkerOffset;
  qlog = options.qlog_;
  if (!options.qlog_dir_.empty()) {
    TERN_TRY(qlog, qlog_files(options.qlog_dir_));
  }
  const Result<void> keys_ready = prepare_keys(runtime.random(), runtime.unix_seconds());
  if (!keys_ready) return keys_ready;
  TERN_TRY(contexts_, make_contexts());
  return {};
}

Result<void> ServerShared::prepare_keys(Random& random, UnixSeconds now) {
  if (options.state_dir_.empty()) {
    keys = inherited_keys;
    if (keys == nullptr) {
      keys = std::make_shared<tls::KeyRing>(random, now);
      random.fill(reset_secret);
    }
    reset_key = std::make_shared<quic::StatelessResetKey>(reset_secret);
    return {};
  }
  const std::string& folder = options.state_dir_;
  if (!exists(folder)) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (!failed) {
      std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failed);
    }
    if (failed) return fail(Error::os(failed.value(), "state folder " + folder));
  }
  // Of those that start at once, one makes the keys for all.
  const std::string keys_file = folder + "/keys";
  if (!exists(keys_file)) {
    const auto made = tls::make_private_file(keys_file, tls::KeyRing(random, now).serialize());
    if (!made) return fail(made.error());
  }
  TERN_TRY(keys, tls::KeyRing::load(keys_file));
  const std::string reset_file = folder + "/reset-key";
  std::array<std::uint8_t, 32>& secret = reset_secret;
  if (!exists(reset_file)) {
    random.fill(secret);
    const auto made = tls::make_private_file(reset_file, to_hex(secret) + "\n");
    if (!made) return fail(made.error());
  }
  TERN_TRY(const std::string text, tls::read_file(reset_file));
  const auto read = key_from_hex(text);
  if (!read) {
    return fail(Error::invalid(reset_file +
                               ": not 64 hexadecimal digits; remove it to have a new one made"));
  }
  secret = *read;
  reset_key = std::make_shared<quic::StatelessResetKey>(secret);
  return {};
}

Result<ServerShared::Contexts> ServerShared::make_contexts() const {
  tls::ServerContextOptions context;
  for (const ServerOptions::CertificateFiles& files : options.certificates_) {
    if (files.loaded) {
      context.certificate(*files.loaded);
    } else {
      TERN_TRY(tls::Certificate certificate,
               tls::Certificate::load(files.chain_file, files.key_file));
      context.certificate(std::move(certificate));
    }
  }
  if (options.certificates_.empty()) {
    return fail(Error::invalid("a server needs a certificate: ServerOptions::certificate"));
  }
  if (!options.client_ca_file_.empty()) {
    TERN_TRY(std::string pem, tls::read_file(options.client_ca_file_));
    context.client_ca(std::move(pem), options.client_certificate_);
  }
  if (options.hq_interop_) context.alpn({"h3", "hq-interop"});
  context.ticket_keys(keys)
      .ticket_lifetime(ticket_lifetime(options.key_rotation_))
      .early_data(options.early_data_)
      .chacha20_only(options.chacha20_only_)
      .key_log(options.key_log_);
  Contexts made;
  TERN_TRY(made.quic, tls::ServerContext::create(context));
  if (options.tcp_) {
    context.alpn({"h2", "http/1.1"}).early_data(false);
    TERN_TRY(made.tcp, tls::ServerContext::create(context));
  }
  return made;
}

ServerShared::Contexts ServerShared::contexts() const {
  const std::lock_guard lock(mutex_);
  return contexts_;
}

void ServerShared::use(const Contexts& contexts) {
  {
    const std::lock_guard lock(mutex_);
    contexts_ = contexts;
  }
  on_every_worker([contexts](ServerWorker& worker) { worker.use(contexts); });
}

Duration ServerShared::key_check_interval() const noexcept {
  if (options.state_dir_.empty()) return options.key_rotation_;
  return std::min<Duration>(options.key_rotation_, std::chrono::seconds(kSharedKeysInterval));
}

void ServerShared::tend_keys(Random& random, UnixSeconds now) {
  const auto period =
      std::chrono::duration_cast<std::chrono::seconds>(options.key_rotation_).count();
  const bool shared = !options.state_dir_.empty();
  const std::string file = options.state_dir_ + "/keys";
  if (shared) {
    const auto newest = tls::KeyRing::load(file);
    if (newest) {
      keys->replace(**newest);
    } else {
      log(LogLevel::warning, "keys stay as they are: " + newest.error().to_string());
      return;
    }
  }
  if (keys->snapshot()->front().created + period > now) return;
  keys->rotate(random, now);
  if (!shared) return;
  const Result<void> saved = keys->save(file);
  if (!saved) log(LogLevel::warning, "rotated keys not saved: " + saved.error().to_string());
}

void ServerShared::add(std::size_t index, Runtime& runtime, const udp::Network& network,
                       std::weak_ptr<ServerWorker> worker) {
  const std::lock_guard lock(mutex_);
  if (slots_.size() <= index) slots_.resize(index + 1);
  slots_[index] = {&runtime, &network, std::move(worker),
                   std::make_shared<std::atomic<std::size_t>>(0)};
  ++running_;
  started_ = true;
  if (ending_ != Ending::no) tell(slots_[index], work_of(ending_));
}

void ServerShared::remove(std::size_t index) noexcept {
  const std::lock_guard lock(mutex_);
  if (index < slots_.size()) slots_[index] = Slot();
}

void ServerShared::worker_ended() {
  const std::lock_guard lock(mutex_);
  --running_;
  changed_.notify_all();
}

bool ServerShared::ended() const {
  const std::lock_guard lock(mutex_);
  return started_ && running_ == 0;
}

void ServerShared::wait_until_ended() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return running_ == 0; });
}

void ServerShared::on_every_worker(const std::function<void(ServerWorker&)>& work) {
  const std::lock_guard lock(mutex_);
  for (const Slot& slot : slots_) tell(slot, work);
}

void ServerShared::tell(const Slot& slot, const std::function<void(ServerWorker&)>& work) {
  if (slot.runtime == nullptr) return;
  slot.runtime->submit([weak = slot.worker, work] {
    if (const auto worker = weak.lock()) work(*worker);
  });
}

std::function<void(ServerWorker&)> ServerShared::work_of(Ending how) {
  if (how == Ending::close) return [](ServerWorker& worker) { worker.close(); };
  return [](ServerWorker& worker) { worker.drain(); };
}

void ServerShared::end(Ending how) {
  {
    const std::lock_guard lock(mutex_);
    ending_ = std::max(ending_, how);
  }
  on_every_worker(work_of(how));
}

void ServerShared::begin_anew() {
  const std::lock_guard lock(mutex_);
  ending_ = Ending::no;
}

bool ServerShared::hand_over(std::size_t worker, const udp::Arrival& arrival) {
  const std::lock_guard lock(mutex_);
  if (worker >= slots_.size() || slots_[worker].runtime == nullptr) return false;
  const Slot& slot = slots_[worker];
  if (slot.handed_over->fetch_add(1, std::memory_order_relaxed) >= kMaxHandedOver) {
    slot.handed_over->fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  std::vector<std::uint8_t> copy(arrival.bytes.begin(), arrival.bytes.end());
  slot.runtime->submit([weak = slot.worker, waiting = slot.handed_over, path = arrival.path,
                        ecn = arrival.ecn, segment = arrival.segment_size,
                        bytes = std::move(copy)]() mutable {
    waiting->fetch_sub(1, std::memory_order_relaxed);
    const auto owner = weak.lock();
    if (!owner) return;
    MutableBytes rest(bytes);
    while (!rest.empty()) {
      const std::size_t size = segment == 0 ? rest.size() : std::min(segment, rest.size());
      owner->receive_handed_over(path, ecn, rest.first(size));
      rest = rest.subspan(size);
    }
  });
  return true;
}

std::vector<std::pair<std::string, std::uint64_t>> ServerShared::counters() const {
  std::map<std::string, std::uint64_t> sums;
  for (const auto& [name, value] : counters_.snapshot()) sums[name] = value;
  const std::lock_guard lock(mutex_);
  for (const Slot& slot : slots_) {
    if (slot.runtime == nullptr) continue;
    for (const auto& [name, value] : slot.runtime->counters().snapshot()) sums[name] += value;
    for (const auto& [name, value] : slot.network->counters().snapshot()) sums[name] += value;
  }
  return {sums.begin(), sums.end()};
}

void ServerShared::note_socket(const udp::Address& local, std::size_t place, int descriptor) {
  const std::lock_guard lock(mutex_);
  auto group = std::find_if(sockets_.begin(), sockets_.end(),
                            [&](const SocketGroup& candidate) { return candidate.first == local; });
  if (group == sockets_.end()) group = sockets_.emplace(group, local, std::vector<int>());
  if (group->second.size() <= place) group->second.resize(place + 1, -1);
  group->second[place] = descriptor;
}

std::vector<ServerShared::SocketGroup> ServerShared::sockets() const {
  const std::lock_guard lock(mutex_);
  return sockets_;
}

engine::Descriptors& ServerShared::offered(const udp::Address& address) {
  for (auto& [local, descriptors] : offered_) {
    if (local == address) return descriptors;
  }
  return offered_.emplace_back(address, engine::Descriptors()).second;
}

std::optional<udp::Address> ServerShared::find_offered(const udp::Address& wanted) const {
  for (const auto& [local, descriptors] : offered_) {
    const bool free = std::find(taken_.begin(), taken_.end(), local) == taken_.end();
    if (local == wanted || (wanted.port() == 0 && wanted.same_ip(local) && free)) return local;
  }
  return std::nullopt;
}

fallback::SessionOptions ServerShared::stream_options() const {
  fallback::SessionOptions streams;
  if (options.fallback_) {
    streams = *options.fallback_;
  } else {
    static_cast<http::Limits&>(streams) = options.http3_;
  }
  webtransport::enable_http2(streams);
  if (!streams.alt_svc && (!options.alt_svc_ || !options.alt_svc_->empty())) {
    streams.alt_svc = [text = options.alt_svc_](const tcp::Stream& stream) {
      // RFC 7838 §2.1: not without TLS, where anybody could say it.
      if (!stream.secure()) return std::string();
      if (text) return *text;
      return "h3=\":" + std::to_string(stream.local().port()) + "\"; ma=86400";
    };
  }
  return streams;
}

std::vector<udp::Address> ServerShared::listen() const { return listen_; }

std::vector<udp::Address> ServerShared::preferred() const { return preferred_; }

std::vector<udp::Address> ServerShared::cleartext() const { return cleartext_; }

void ServerShared::set_bound(std::vector<udp::Address> addresses,
                             std::vector<udp::Address> cleartext, std::string engine) {
  const std::lock_guard lock(mutex_);
  bound_ = std::move(addresses);
  bound_cleartext_ = std::move(cleartext);
  engine_ = std::move(engine);
}

std::vector<udp::Address> ServerShared::bound() const {
  const std::lock_guard lock(mutex_);
  return bound_;
}

std::vector<udp::Address> ServerShared::bound_cleartext() const {
  const std::lock_guard lock(mutex_);
  return bound_cleartext_;
}

std::string ServerShared::engine() const {
  const std::lock_guard lock(mutex_);
  return engine_;
}

}  // namespace tern
