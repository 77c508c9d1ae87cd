-- The registry of a master: `due`, a sorted set of the namespaces that a sweeper has to visit, each with the
-- master's time of the visit, and `names`, those in use.
-- Invariant: no two claims of a namespace are equal, and none is a whole ms, which a registration is: a
-- sweeper that has found a namespace empty forgets it only if nobody has registered it since.
local heartbeat = use("master/heartbeat")
local call, floor, max, min = redis.call, math.floor, math.max, math.min

local registry = {}

-- A sweeper that has not settled its claim after so long is taken for dead.
local CLAIM_MS = 1000
-- Between two visits of one namespace.
local LEAST_MS, MOST_MS = 250, 3600000

-- `now` must advance while beats are late; the microseconds of Redis' clock make each claim unique.
local function claim(due, name, now)
  local us = call("TIME")[2] % 1000
  local claimed = ("%.4f"):format(floor(now) + CLAIM_MS + (us + 0.5) / 1000)
  call("ZADD", due, claimed, name)
  return claimed
end

-- Claims up to `limit` namespaces that are due at `now`; answers each name and its claim.
function registry.claim_due(due, now, limit)
  local found = {}
  if limit <= 0 then return found end
  for _, name in ipairs(call("ZRANGEBYSCORE", due, "-inf", now, "LIMIT", 0, limit)) do
    found[#found + 1] = name
    found[#found + 1] = claim(due, name, now)
  end
  return found
end

-- Claims one namespace, due or not; answers the claim, nothing for a namespace that is not in use.
function registry.claim(keys, name)
  if not call("ZSCORE", keys.names, name) then return end
  local _, unbounded = heartbeat.now(keys.heartbeat)
  return claim(keys.due, name, unbounded)
end

-- A namespace is in use, and has to be visited in `delay` ms at the latest.
function registry.register(keys, name, delay)
  local at = floor(heartbeat.now(keys.heartbeat) + delay)
  local stored = tonumber(call("ZSCORE", keys.due, name))
  if stored then at = min(at, floor(stored)) end
  if at ~= stored then call("ZADD", keys.due, at, name) end
  call("ZADD", keys.names, 0, name)
end

local function holds_claim(keys, name, claimed)
  return tonumber(call("ZSCORE", keys.due, name)) == tonumber(claimed)
end

-- Ends a claim that still holds: the next visit is in `delay` ms, or none is needed when that is nil.
function registry.settle(keys, name, claimed, delay)
  if not holds_claim(keys, name, claimed) then return end
  if not delay then return call("ZREM", keys.due, name) end
  local wait = min(max(delay, LEAST_MS), MOST_MS)
  call("ZADD", keys.due, floor(heartbeat.now(keys.heartbeat) + wait), name)
end

-- Ends a claim that still holds, on a namespace that is not in use, or not on this master.
function registry.forget(keys, name, claimed)
  if not holds_claim(keys, name, claimed) then return end
  call("ZREM", keys.due, name)
  call("ZREM", keys.names, name)
end

-- Claims up to `limit` namespaces of a registry that no replica visits, because its slot has moved.
function registry.claim_any(keys, limit)
  local found = {}
  local _, unbounded = heartbeat.now(keys.heartbeat)
  for _, name in ipairs(call("ZRANGE", keys.names, 0, limit - 1)) do
    found[#found + 1] = name
    found[#found + 1] = claim(keys.due, name, unbounded)
  end
  return found
end

return registry
