-- The end of sessions: by exit, kill or expiry one path, run once, in bounded steps.
-- Invariant: from finish() on nothing can be done in a session's name; its fds and the files sent to
-- it are closed in order, by this call or by the sweeper's.
local kernel = use("base/kernel")
local clock = use("base/clock")
local work = use("base/work")
local session = use("base/session")
local fd = use("file/fd")
local scm_rights = use("file/scm_rights")
local call = redis.call

-- Sessions ended by one call; those beyond it still cannot act (session.enter), only their
-- references stay a little longer.
local SESSIONS = 16

local exit = {}
local sys = kernel.sys

-- Nobody sees the references of a session that is due.
function exit.exit_due_sessions()
  local sids = call("ZRANGEBYSCORE", kernel.key("deadlines"), "-inf", current.now, "LIMIT", 0, SESSIONS)
  if #sids == 0 then return end
  clock.note_expiry()
  for _, sid in ipairs(sids) do session.do_exit(sid, "expired") end
  work.drain()
end

work.handle("exit", function(sid, from)
  local closed, next_fd = fd.close_all(sid, from, work.room())
  if next_fd then
    work.push("exit", sid, next_fd)
  else
    scm_rights.discard_later(sid)
  end
  return closed
end)

-- One turn of a sweeper: `allowance` ms may pass until the next one of anybody.
-- Answers whether work is left and how many sessions the namespace has.
function sys.sweep(allowance)
  clock.note_sweep(tonumber(allowance))
  exit.exit_due_sessions()
  local more = work.resume() or clock.is_due()
  return more and 1 or 0, call("ZCARD", kernel.key("deadlines"))
end

function sys.exit()
  session.do_exit(current.sid, "exited")
end

return exit
