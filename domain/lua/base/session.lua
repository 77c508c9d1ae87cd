-- A process: credentials, umask, limits, and a lifetime that each request renews. The fields of its
-- hash that calls read are packed: `life`, and `cred`, the fields of uapi.CRED with spaces between.
-- Invariant: a session's key, its deadline and its id exist together or not at all.
local kernel = use("base/kernel")
local clock = use("base/clock")
local memo = use("base/memo")
local work = use("base/work")
local uapi = use("uapi")
local call, unpack_struct = redis.call, struct.unpack

local session = {}

local ANSWER_MS = uapi.ANSWER_MS
-- The reason of an end is kept so long.
local REASON_MS = 900000

-- The reasons of an end by the clock, and together with the namespace.
session.EXPIRED, session.DELETED = "expired", "deleted"

-- deadline and ttl in ms, then the hash of the token.
local LIFE = "<dds"

-- The deadline runs ahead of the ttl, so that a renewal is written once in ttl/10.
local function write_life(sid, ttl, token)
  local deadline = clock.latest() + math.floor(ttl * uapi.TTL_FACTOR) + ANSWER_MS
  call("HSET", kernel.key("session", sid), "life", struct.pack(LIFE, deadline, ttl, token))
  return deadline
end

-- Answers the new deadline.
function session.renew(sid, ttl, token)
  local deadline = write_life(sid, ttl, token)
  call("ZADD", kernel.key("deadlines"), deadline, sid)
  clock.note_renewal(deadline)
  return deadline
end

-- deadline, ttl, token hash; nothing where there is no session.
function session.read_life(sid)
  local life = call("HGET", kernel.key("session", sid), "life")
  if life then return unpack_struct(LIFE, life) end
end

-- Whether there is such a session that is not due.
function session.is_living(sid)
  local deadline = session.read_life(sid)
  return deadline ~= nil and deadline > current.now
end

local function ended(sid, token)
  local tomb = call("HMGET", kernel.key("ended", sid), "token", "reason")
  if tomb[1] and tomb[1] ~= token then kernel.fail("TOKEN", "no such session token") end
  kernel.fail("ENDED", tomb[2] or "")
end

-- An older version may have gone by another time, which counts then.
local function check_expiry(deadline)
  kernel.need_writes()
  clock.heed_older()
  if deadline > current.now then return end
  clock.note_expiry()
  kernel.fail("ENDED", session.EXPIRED)
end

-- Every command of a session starts here: the token must be its own, and must not have
-- expired. The command renews it.
function session.enter()
  local sid, token = current.sid, current.token
  local deadline, ttl, own = session.read_life(sid)
  if not deadline then ended(sid, token) end
  if own ~= token then kernel.fail("TOKEN", "no such session token") end
  if deadline <= current.now then check_expiry(deadline) end
  if current.deleting then kernel.fail("ENDED", session.DELETED) end
  if deadline < clock.latest() + ttl + ANSWER_MS then
    kernel.need_writes()
    session.renew(sid, ttl, token)
  end
  current.ttl = ttl
end

-- Renews sessions by id and token hash in turn, which must be their own. Answers the ttl of each; false for
-- one that session.enter() may reject.
function session.renew_all(words)
  local ttls, scores, first = {}, {}, math.huge
  for at = 1, #words, 2 do
    local sid, token = words[at], words[at + 1]
    local deadline, ttl, own = session.read_life(sid)
    ttls[#ttls + 1] = false
    if deadline and own == token and deadline > current.now and not current.deleting then
      deadline = write_life(sid, ttl, token)
      scores[#scores + 1], scores[#scores + 2] = deadline, sid
      ttls[#ttls], first = ttl, math.min(first, deadline)
    end
  end
  if not scores[1] then return ttls end
  call("ZADD", kernel.key("deadlines"), unpack(scores))
  clock.note_renewal(first)
  return ttls
end

-- The namespace's possible CPUs, on which the layout of per-CPU values depends.
function session.cpus()
  local cpus = current.cpus or call("HGET", current.meta, "cpus")
  current.cpus = cpus
  return cpus
end

local parse_cred = memo(function(text)
  local c = {}
  for word in text:gmatch("%S+") do
    local field = uapi.CRED[#c + 1]
    c[#c + 1], c[field] = field, tonumber(word) or word
  end
  return c
end)

-- caps and groups are "*" or ",a,b,".
function session.pack_cred(c)
  return table.concat(kernel.list_fields(uapi.CRED, c, c), " ")
end

function session.cred_of(sid)
  local text = call("HGET", kernel.key("session", sid), "cred")
  return text and parse_cred(text)
end

-- The caller's credentials, read when a command asks for them.
function session.cred()
  local cred = current.cred or session.cred_of(current.sid)
  current.cred = cred
  return cred
end

-- do_exit(): removes what other sessions can see now, and leaves the references to the work list.
function session.do_exit(sids, reason)
  local keys = {}
  for i, sid in ipairs(sids) do
    local tomb = kernel.key("ended", sid)
    local _, _, token = session.read_life(sid)
    call("HSET", tomb, "token", token or "", "reason", reason)
    call("PEXPIRE", tomb, REASON_MS)
    keys[i] = kernel.key("session", sid)
    work.push("exit", sid, 0)
  end
  call("DEL", unpack(keys))
  call("ZREM", kernel.key("deadlines"), unpack(sids))
  call("ZREM", kernel.key("ids:session"), unpack(sids))
end

return session
