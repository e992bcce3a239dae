#include "tests/kernel/load/redis.hpp"

#include <charconv>
#include <map>
#include <stdexcept>
#include <string_view>

#include "tests/kernel/load/clock.hpp"

namespace sluice::load {
namespace {

std::string_view text(const redisReply& r) {
  return {r.str, r.len};
}

template <class Number>
Number number(std::string_view s, const char* what) {
  Number value{};
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (error != std::errc() || end != s.data() + s.size())
    throw std::runtime_error(std::string(what) + " is '" + std::string(s) + "', which is no number");
  return value;
}

// The first half of a stream id: the server's CLOCK_REALTIME in milliseconds.
double age_seconds(std::string_view id) {
  const auto sent_msec = number<std::int64_t>(id.substr(0, id.find('-')), "a record's id");
  const auto age_msec = now_usec(CLOCK_REALTIME) / 1000 - sent_msec;
  return static_cast<double>(age_msec) / 1000.0;
}

}  // namespace

Redis::Redis(const RedisAddress& address)
    : context_(redisConnect(address.host.c_str(), address.port), redisFree) {
  const std::string where = address.host + ":" + std::to_string(address.port);
  if (!context_) throw std::runtime_error(where + ": out of memory");
  if (context_->err != 0) throw std::runtime_error(where + ": " + context_->errstr);
}

void Redis::append(const Words& words) {
  std::vector<const char*> values;
  std::vector<std::size_t> sizes;
  for (const auto& w : words) {
    values.push_back(w.data());
    sizes.push_back(w.size());
  }
  if (redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), values.data(), sizes.data()) !=
      REDIS_OK)
    throw std::runtime_error(std::string("redis: ") + context_->errstr);
}

Redis::Reply Redis::take() {
  void* raw = nullptr;
  // A stop signal may interrupt the wait for a reply; the reply still arrives.
  while (redisGetReply(context_.get(), &raw) != REDIS_OK) {
    if (context_->err != REDIS_ERR_IO || errno != EINTR)
      throw std::runtime_error(std::string("redis: ") + context_->errstr);
    context_->err = 0;
  }
  Reply reply(static_cast<redisReply*>(raw), [](redisReply* r) { freeReplyObject(r); });
  if (reply->type == REDIS_REPLY_ERROR) throw std::runtime_error("redis: " + std::string(text(*reply)));
  return reply;
}

Redis::Reply Redis::call(const Words& words) {
  append(words);
  return take();
}

void Redis::create_group(const std::string& stream, const std::string& group) {
  try {
    call({"XGROUP", "CREATE", stream, group, "0", "MKSTREAM"});
  } catch (const std::runtime_error& e) {
    if (std::string_view(e.what()).find("BUSYGROUP") == std::string_view::npos) throw;
  }
}

// [[stream, [[id, [field, value, ...]], ...]]]
std::vector<Record> records_of(const redisReply& reply) {
  std::vector<Record> records;
  if (reply.type == REDIS_REPLY_NIL) return records;
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 1 || reply.element[0]->elements != 2)
    throw std::runtime_error("redis: an unexpected reply to XREADGROUP");
  const redisReply& entries = *reply.element[0]->element[1];
  for (std::size_t i = 0; i < entries.elements; ++i) {
    const redisReply& entry = *entries.element[i];
    const redisReply& fields = *entry.element[1];
    if (fields.elements != 4 || text(*fields.element[0]) != "sent_usec" || text(*fields.element[2]) != "work")
      throw std::runtime_error("record " + std::string(text(*entry.element[0])) +
                               " has no sent_usec and work");
    records.push_back({std::string(text(*entry.element[0])),
                       number<std::int64_t>(text(*fields.element[1]), "sent_usec"),
                       number<double>(text(*fields.element[3]), "work")});
  }
  return records;
}

std::optional<GroupLag> group_lag(Redis& redis, const std::string& stream, const std::string& group) {
  if (redis.call({"EXISTS", stream})->integer == 0) return std::nullopt;
  const auto groups = redis.call({"XINFO", "GROUPS", stream});
  for (std::size_t g = 0; g < groups->elements; ++g) {
    std::map<std::string_view, const redisReply*> info;
    const redisReply& flat = *groups->element[g];
    for (std::size_t i = 0; i + 1 < flat.elements; i += 2) info[text(*flat.element[i])] = flat.element[i + 1];
    if (text(*info.at("name")) != group) continue;
    // The server cannot always determine the lag. Here nothing is deleted, so that would be an error of ours.
    if (info.at("lag")->type != REDIS_REPLY_INTEGER) throw std::runtime_error("redis does not know the lag");
    const long long pending = info.at("pending")->integer, lag = info.at("lag")->integer;
    const auto& read = *info.at("entries-read");
    GroupLag result{lag + pending, (read.type == REDIS_REPLY_INTEGER ? read.integer : 0) - pending, 0};
    if (pending > 0) {
      const auto summary = redis.call({"XPENDING", stream, group});
      if (summary->elements == 4 && summary->element[1]->type == REDIS_REPLY_STRING)
        result.oldest_age_seconds = age_seconds(text(*summary->element[1]));
    } else if (lag > 0) {
      const std::string after = "(" + std::string(text(*info.at("last-delivered-id")));
      const auto first = redis.call({"XRANGE", stream, after, "+", "COUNT", "1"});
      if (first->elements == 1) result.oldest_age_seconds = age_seconds(text(*first->element[0]->element[0]));
    }
    return result;
  }
  return std::nullopt;
}

}  // namespace sluice::load
