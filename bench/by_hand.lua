#!lua name=by_hand
-- The shortest functions for a lookup and an update of a hash's element: the reads and writes of domain/lua in
-- the order of its checks, and nothing else. `plain` uses the layout before fields were packed, a field at a
-- time; `packed` uses the current layout.
-- KEYS: the root of the namespace and its meta. ARGV: session, token, fd, key, and the value of an update.

local function plain_enter(root, meta, sid, token)
  local call = redis.call
  local time = call("TIME")
  local wall = time[1] * 1000 + math.floor(time[2] / 1000)
  local stored = call("HMGET", meta, "skew", "tick", "allowance")
  local now, tick = wall + stored[1], tonumber(stored[2])
  now = math.max(tick, math.min(now, tick + stored[3]))
  local first = call("ZRANGE", root .. "deadlines", 0, 0, "WITHSCORES")
  if first[1] and tonumber(first[2]) <= now then return redis.error_reply("due") end
  local s = call("HMGET", root .. "session:" .. sid, "token", "deadline", "ttl")
  if s[1] ~= token then return redis.error_reply("token") end
  if tonumber(s[2]) < now + s[3] + 500 then return redis.error_reply("renew") end
end

local function plain_map(root, sid, fd)
  local call = redis.call
  local entry = call("HGET", root .. "fds:" .. sid, fd)
  local kind, id, mode = entry:match("^%d+:(%a+):(%d+):(%d)$")
  if kind ~= "map" or mode ~= "3" then return redis.error_reply("fd") end
  local m = call("HMGET", root .. "map:" .. id, "map_type", "key_size", "value_size", "max_entries",
    "map_flags", "frozen", "cpus", "revision", "locks")
  return nil, id, m
end

local function plain_lookup(keys, args)
  local root = keys[1]
  local failed = plain_enter(root, keys[2], args[1], args[2])
  if failed then return failed end
  local wrong, id, m = plain_map(root, args[1], args[3])
  if wrong then return wrong end
  if #args[4] ~= tonumber(m[2]) then return redis.error_reply("key") end
  local value = redis.call("HGET", root .. "elem:" .. id, args[4])
  if not value then return redis.error_reply("absent") end
  return { "", value, 0, m[8] }
end

local function plain_update(keys, args)
  local root, call = keys[1], redis.call
  local failed = plain_enter(root, keys[2], args[1], args[2])
  if failed then return failed end
  local wrong, id, m = plain_map(root, args[1], args[3])
  if wrong then return wrong end
  if m[6] == "1" or #args[4] ~= tonumber(m[2]) or #args[5] ~= tonumber(m[3]) then
    return redis.error_reply("sizes")
  end
  local elements = root .. "elem:" .. id
  if call("HEXISTS", elements, args[4]) == 0 then
    if call("HLEN", elements) >= tonumber(m[4]) then return redis.error_reply("full") end
    call("ZADD", root .. "keys:" .. id, 0, args[4])
  end
  call("HSET", elements, args[4], args[5])
  return { "", call("HINCRBY", root .. "map:" .. id, "revision", 1) }
end

local function packed_enter(root, meta, sid, token)
  local call = redis.call
  local time = call("TIME")
  local wall = time[1] * 1000 + math.floor(time[2] / 1000)
  if call("HGET", meta, "layout") ~= "2" then return redis.error_reply("layout") end
  local skew, tick, allowance, next = call("HGET", meta, "clock"):match("^(%S+) (%S+) (%S+) (%S+)$")
  local now = wall + skew
  tick = tonumber(tick)
  -- As the library bounds the time by its beat, which the bench does not renew.
  now = math.max(tick, math.min(now, tick + allowance))
  if now >= tonumber(next) then return redis.error_reply("due") end
  local deadline, ttl, own = struct.unpack("<dds", call("HGET", root .. "session:" .. sid, "life"))
  if own ~= token then return redis.error_reply("token") end
  if deadline < now + ttl + 500 then return redis.error_reply("renew") end
end

local function packed_map(root, sid, fd)
  local call = redis.call
  local entry = call("HGET", root .. "fds:" .. sid, fd)
  local kind, id, mode = entry:match("^%d+:(%a+):(%d+):(%d)$")
  if kind ~= "map" or mode ~= "3" then return redis.error_reply("fd") end
  local attr = call("HGET", root .. "map:" .. id, "attr")
  return nil, id, attr:match("^%a+ (%d+) (%d+) (%d+) %d+ (%d) %S+ %S+$")
end

local function packed_lookup(keys, args)
  local root, call = keys[1], redis.call
  local failed = packed_enter(root, keys[2], args[1], args[2])
  if failed then return failed end
  local wrong, id, key_size = packed_map(root, args[1], args[3])
  if wrong then return wrong end
  if #args[4] ~= tonumber(key_size) then return redis.error_reply("key") end
  local value = call("HGET", root .. "elem:" .. id, args[4])
  if not value then return redis.error_reply("absent") end
  return { "", value, 0, call("HGET", root .. "map:" .. id, "revision") }
end

local function packed_update(keys, args)
  local root, call = keys[1], redis.call
  local failed = packed_enter(root, keys[2], args[1], args[2])
  if failed then return failed end
  local wrong, id, key_size, value_size, max_entries, frozen = packed_map(root, args[1], args[3])
  if wrong then return wrong end
  if frozen == "1" or #args[4] ~= tonumber(key_size) or #args[5] ~= tonumber(value_size) then
    return redis.error_reply("sizes")
  end
  local elements = root .. "elem:" .. id
  if call("HEXISTS", elements, args[4]) == 0 then
    if call("HLEN", elements) >= tonumber(max_entries) then return redis.error_reply("full") end
    call("ZADD", root .. "keys:" .. id, 0, args[4])
  end
  call("HSET", elements, args[4], args[5])
  return { "", call("HINCRBY", root .. "map:" .. id, "revision", 1) }
end

redis.register_function("plain_lookup", plain_lookup)
redis.register_function("plain_update", plain_update)
redis.register_function("packed_lookup", packed_lookup)
redis.register_function("packed_update", packed_update)
