#include "transport/sim/service_zone.h"

#include <algorithm>
#include <utility>

namespace tern::sim {

ServiceZone& ServiceZone::add(const std::string& name, udp::ServiceRecord record) {
  std::vector<udp::ServiceRecord>& records = records_[name];
  records.push_back(std::move(record));
  std::stable_sort(records.begin(), records.end(), [](const auto& left, const auto& right) {
    return left.priority < right.priority;
  });
  return *this;
}

ServiceZone::Question::Question(TimerHeap& timers, ServiceZone& zone, std::string asked,
                                Answered callback)
    : name(std::move(asked)), done(std::move(callback)), timer(timers, [this, &zone](Timestamp) {
        over = true;
        udp::ServiceAnswer answer;
        const auto found = zone.records_.find(name);
        if (found != zone.records_.end()) answer.records = found->second;
        answer.ttl = answer.records.empty() ? Duration(std::chrono::minutes(1)) : zone.ttl_;
        done(std::move(answer));
      }) {}

void ServiceZone::resolve_service(const std::string& name, Answered done) {
  questions_.remove_if([](const Question& question) { return question.over; });
  asked_.push_back(name);
  Question& question = questions_.emplace_back(runtime_.timers(), *this, name, std::move(done));
  question.timer.arm(runtime_.now() + delay_);
}

}  // namespace tern::sim
