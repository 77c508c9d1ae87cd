-- A process: credentials, umask, limits, and how long it lives without being heard of.
-- Invariant: a session's key, its deadline and its id exist together or not at all.
local kernel = use("kernel")
local clock = use("clock")
local call = redis.call

local session = {}
local DEADLINES = kernel.key("deadlines")

-- ms that may pass between the script and the end of the HTTP answer: not taken off the ttl.
local ANSWER_MS = 500

-- How far ahead a deadline is set, so that a renewal is written once in ttl/10.
local function ahead(ttl)
  return math.floor(ttl * 1.1) + ANSWER_MS
end

-- How long the reason of an end is known.
local KNOWN_MS = 900000

local FIELDS = { "uid", "gid", "groups", "caps", "umask", "nofile" }

-- Answers the deadline.
function session.renew(sid, ttl)
  local deadline = clock.now + ahead(ttl)
  call("HSET", kernel.key("session", sid), "deadline", deadline)
  call("ZADD", DEADLINES, deadline, sid)
  clock.touch()
  return deadline
end

local function ended(sid, token)
  local tomb = call("HMGET", kernel.key("ended", sid), "token", "reason")
  if tomb[1] and tomb[1] ~= token then kernel.fail("TOKEN", "no such session token") end
  kernel.fail("ENDED", tomb[2] or "")
end

-- Every command of a session starts here: the token must be its own, and its time not over. Being
-- heard of renews it.
function session.enter(sid, token)
  local s = call("HMGET", kernel.key("session", sid), "token", "deadline", "ttl")
  if not s[1] then ended(sid, token) end
  if s[1] ~= token then kernel.fail("TOKEN", "no such session token") end
  local deadline, ttl = tonumber(s[2]), tonumber(s[3])
  if deadline <= clock.now then kernel.fail("ENDED", "expired") end
  if deadline < clock.now + ttl + ANSWER_MS then session.renew(sid, ttl) end
  session.id = sid
end

-- The namespace's possible CPUs, on which the layout of per-CPU values depends.
function session.cpus()
  session.possible = session.possible or call("HGET", kernel.key("meta"), "cpus")
  return session.possible
end

-- The caller's credentials, read when a command asks for them.
function session.cred()
  if not session.credentials then
    local v = call("HMGET", kernel.key("session", session.id), unpack(FIELDS))
    session.credentials = { uid = tonumber(v[1]), gid = tonumber(v[2]), groups = v[3], caps = v[4],
      umask = tonumber(v[5]), nofile = tonumber(v[6]) }
  end
  return session.credentials
end

-- do_exit: what can be seen goes now, what was held goes to the work list.
function session.finish(sid, reason)
  local key, tomb = kernel.key("session", sid), kernel.key("ended", sid)
  call("HSET", tomb, "token", call("HGET", key, "token"), "reason", reason)
  call("PEXPIRE", tomb, KNOWN_MS)
  call("DEL", key)
  call("ZREM", DEADLINES, sid)
  call("ZREM", kernel.key("ids:session"), sid)
  use("work").push("release", "exit", sid, 0)
end

return session
