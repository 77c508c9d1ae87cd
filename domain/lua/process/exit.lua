-- The end of sessions: by exit, kill or expiry one path, run once, in bounded steps.
-- Invariant: from finish() on nothing can be done in a session's name; its fds and the files sent to
-- it are closed in order, by this call or by the sweeper's.
local kernel = use("kernel")
local clock = use("clock")
local session = use("session")
local work = use("work")
local call = redis.call
local DEADLINES = kernel.key("deadlines")

-- Sessions ended by one call; those beyond it still cannot act (session.enter), only their
-- references stay a little longer.
local SESSIONS = 16

local release = { sys = {} }

-- Nobody sees the references of a session that is due.
function release.due()
  local sids = call("ZRANGEBYSCORE", DEADLINES, "-inf", clock.now, "LIMIT", 0, SESSIONS)
  if #sids == 0 then return end
  -- What was once due stays due: an outage takes the clock back to its last tick.
  clock.touch()
  for _, sid in ipairs(sids) do session.finish(sid, "expired") end
  work.drain()
end

function release.exit(sid, from)
  local closed, fd = use("fd").close_all(sid, from, work.room())
  if fd then
    work.push("release", "exit", sid, fd)
    return closed
  end
  work.push("inbox", "discard", sid)
  return closed
end

-- One turn of a sweeper: `allowance` ms may pass until the next one of anybody.
-- Answers whether work is left and whether the namespace has sessions.
function release.sys.sweep(allowance)
  clock.tick(tonumber(allowance))
  release.due()
  local more = work.resume() or clock.due()
  return more and 1 or 0, call("ZCARD", DEADLINES)
end

return release
