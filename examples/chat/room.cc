#include "examples/chat/room.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "examples/chat/text.h"
#include "http/escape.h"

namespace tern::chat {

namespace {

std::string json_string(std::string_view text) {
  std::string out = "\"";
  http::append_json_escaped(out, text);
  out.push_back('"');
  return out;
}

constexpr std::string_view kNameCommand = "/name ";

}  // namespace

// ---- the room -----------------------------------------------------------------------------------

Result<std::unique_ptr<Seat>> Room::join(Runtime& runtime, std::string_view carrier, Guest& guest) {
  std::unique_ptr<Seat> seat(new Seat(shared_from_this(), runtime, guest));
  const std::lock_guard lock(mutex_);
  if (members_.size() >= kMaxSeats) return fail(Error::limit("the room is full"));
  Member member;
  member.id = ++last_id_;
  member.carrier = carrier;
  for (std::uint64_t number = member.id; member.name.empty(); ++number) {
    std::string name = fmt::format("guest {}", number);
    if (!taken(name)) member.name = std::move(name);
  }
  publish(fmt::format(R"({{"type":"joined","id":{},"name":{},"carrier":{}}})", member.id,
                      json_string(member.name), json_string(member.carrier)));
  members_.push_back(std::move(member));
  auto branch = std::find_if(branches_.begin(), branches_.end(),
                             [&](const auto& each) { return &each->runtime == &runtime; });
  if (branch == branches_.end()) {
    branch = branches_.insert(branch, std::make_shared<Branch>(runtime));
  }
  ++(*branch)->members;
  (*branch)->seats.push_back(seat.get());
  seat->branch_ = *branch;
  seat->id_ = members_.back().id;
  // What was published until now is in the welcome, and may still be on its way to this runtime.
  seat->heard_ = last_number_;
  seat->welcome_ = welcome(members_.back());
  return seat;
}

Bytes Room::welcome(const Member& who) const {
  std::string line = fmt::format(R"({{"type":"welcome","you":{},"members":[)", who.id);
  for (const Member& member : members_) {
    if (&member != &members_.front()) line.push_back(',');
    line += fmt::format(R"({{"id":{},"name":{},"carrier":{}}})", member.id,
                        json_string(member.name), json_string(member.carrier));
  }
  line += R"(],"messages":[)";
  for (const std::string& message : history_) {
    if (&message != &history_.front()) line.push_back(',');
    line += message;
  }
  line += "]}\n";
  return Bytes::take(std::move(line));
}

std::size_t Room::seats() const {
  const std::lock_guard lock(mutex_);
  return members_.size();
}

Room::Member* Room::find(std::uint64_t id) {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const Member& member) { return member.id == id; });
  return found == members_.end() ? nullptr : &*found;
}

bool Room::taken(std::string_view name) const {
  return std::any_of(members_.begin(), members_.end(),
                     [&](const Member& member) { return same_name(member.name, name); });
}

void Room::publish(std::string line) {
  Event event;
  event.number = ++last_number_;
  event.line = Bytes::take(std::move(line.append("\n")));
  send(std::move(event));
}

/// Under the lock, so that the order is the same on all runtimes.
void Room::send(Event event) {
  for (const std::shared_ptr<Branch>& branch : branches_) {
    branch->runtime.submit([branch, event] {
      for (Seat* seat : branch->seats) seat->hear(event);
    });
  }
}

void Room::leave(const Seat& seat) {
  const std::lock_guard lock(mutex_);
  if (--seat.branch_->members == 0) std::erase(branches_, seat.branch_);
  std::erase_if(members_, [&](const Member& member) { return member.id == seat.id_; });
  publish(fmt::format(R"({{"type":"left","id":{}}})", seat.id_));
}

bool Room::rename(std::uint64_t id, std::string name) {
  const std::lock_guard lock(mutex_);
  Member* const member = find(id);
  if (member->name == name) return true;
  if (!same_name(member->name, name) && taken(name)) return false;
  member->name = std::move(name);
  publish(fmt::format(R"({{"type":"renamed","id":{},"name":{}}})", id, json_string(member->name)));
  return true;
}

void Room::say(std::uint64_t id, std::string_view text, UnixSeconds time) {
  const std::lock_guard lock(mutex_);
  std::string line =
      fmt::format(R"({{"type":"message","id":{},"name":{},"text":{},"time":{}}})", id,
                  json_string(find(id)->name), json_string(text), static_cast<std::int64_t>(time));
  if (history_.size() == kHistory) history_.pop_front();
  history_.push_back(line);
  publish(std::move(line));
}

void Room::typing(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  Event event;
  event.number = last_number_;
  event.line = Bytes::take(fmt::format(R"({{"type":"typing","id":{}}})", id));
  event.datagram = true;
  event.by = id;
  send(std::move(event));
}

// ---- a seat -------------------------------------------------------------------------------------

Seat::Seat(std::shared_ptr<Room> room, Runtime& runtime, Guest& guest)
    : room_(std::move(room)), runtime_(runtime), guest_(guest), changed_(runtime) {}

Seat::~Seat() {
  if (branch_ == nullptr) return;  // the room was full
  std::erase(branch_->seats, this);
  room_->leave(*this);
}

void Seat::say(std::string_view text) {
  if (dismissed_) return;
  if (!allowed()) return refuse("Slower, please: that was not sent.");
  if (text.starts_with(kNameCommand)) {
    std::optional<std::string> name = clean_name(text.substr(kNameCommand.size()));
    if (!name) return refuse("That is no name.");
    if (!room_->rename(id_, std::move(*name))) return refuse("Somebody here has that name.");
  } else if (text.starts_with('/')) {
    return refuse("There is one command: /name and a new name.");
  } else {
    const std::optional<std::string> clean = clean_text(text);
    if (!clean) return refuse("A message is UTF-8 of up to 2000 bytes: that was not sent.");
    room_->say(id_, *clean, runtime_.unix_seconds());
  }
  refusals_ = 0;
}

/// A bucket of `kBurst` tokens, told by the time at which it is full.
bool Seat::allowed() {
  const Timestamp now = runtime_.now();
  const Timestamp full = std::max(full_at_, now) + kInterval;
  if (full - now > kInterval * static_cast<int>(kBurst)) return false;
  full_at_ = full;
  return true;
}

void Seat::refuse(std::string_view why) {
  tell(why);
  if (++refusals_ == kMaxRefusals) dismiss(Guest::Dismissal::flooding);
}

void Seat::typing() {
  if (dismissed_) return;
  const Timestamp now = runtime_.now();
  if (typed_ != Timestamp{} && now - typed_ < kInterval) return;
  typed_ = now;
  room_->typing(id_);
}

void Seat::tell(std::string_view notice) {
  std::string line = R"({"type":"notice","text":)" + json_string(notice) + "}\n";
  push(Bytes::take(std::move(line)));
}

void Seat::hear(const Room::Event& event) {
  if (event.datagram) {
    if (event.by != id_ && event.number >= heard_) guest_.datagram(event.line);
    return;
  }
  if (event.number <= heard_) return;
  heard_ = event.number;
  push(event.line);
}

void Seat::push(Bytes line) {
  if (dismissed_) return;
  const bool late = writing_since_ && runtime_.now() - *writing_since_ > kPatience;
  if (late || waiting_bytes_ + line.size() > kMaxWaiting) {
    return dismiss(Guest::Dismissal::too_slow);
  }
  waiting_bytes_ += line.size();
  waiting_.push(std::move(line));
  changed_.notify();
}

void Seat::dismiss(Guest::Dismissal why) {
  if (std::exchange(dismissed_, true)) return;
  waiting_.clear();
  waiting_bytes_ = 0;
  guest_.dismiss(why);
}

std::optional<Bytes> Seat::next() {
  writing_since_.reset();
  if (!welcome_ && waiting_.empty()) return std::nullopt;
  writing_since_ = runtime_.now();
  if (welcome_) return std::exchange(welcome_, std::nullopt);
  Bytes line = waiting_.pop();
  waiting_bytes_ -= line.size();
  return line;
}

}  // namespace tern::chat
