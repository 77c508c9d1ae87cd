-- Ends sessions: exit, kill and expiry take one path, session.do_exit(), which leaves the work item "exit".
-- Invariant: after session.do_exit() no command runs in the session's name; its fds and the files sent to
-- it are closed in order and in bounded steps, by this call, later commands or the sweeper.
local kernel = use("base/kernel")
local clock = use("base/clock")
local work = use("base/work")
local session = use("base/session")
local cred = use("base/cred")
local fd = use("file/fd")
local scm_rights = use("file/scm_rights")
local call = redis.call

-- Sessions that one call ends. The other due sessions cannot act either (session.enter), but keep their
-- references until a later call.
local SESSIONS = 16

local exit = {}
local sys = kernel.sys

-- Runs before each command for which clock.is_due(): ends up to SESSIONS due sessions, then frees what the
-- work budget allows, so that the command sees the effects of their exit.
function exit.exit_due_sessions()
  local sids = call("ZRANGEBYSCORE", kernel.key("deadlines"), "-inf", current.now, "LIMIT", 0, SESSIONS)
  if #sids == 0 then return end
  clock.note_expiry()
  for _, sid in ipairs(sids) do session.do_exit(sid, "expired") end
  work.drain()
end

-- Ends all sessions of a namespace that is being deleted.
work.handle("end_sessions", function()
  local sids = call("ZRANGE", kernel.key("ids:session"), 0, SESSIONS - 1)
  for _, sid in ipairs(sids) do session.do_exit(sid, session.DELETED) end
  if #sids == SESSIONS then work.push("end_sessions") end
  return #sids
end)

work.handle("exit", function(sid, from)
  local closed, next_fd = fd.close_all(sid, from, work.room())
  if next_fd then
    work.push("exit", sid, next_fd)
  else
    scm_rights.discard_later(sid)
  end
  return closed
end)

--[[
  exit(2) (kernel: do_exit()): ends the session of the caller.

    Input: none
    Output: nothing
    Errors: none
]]
function sys.exit()
  session.do_exit(current.sid, "exited")
end

--[[
  kill(2) with SIGKILL (kernel: check_kill_permission()): ends another session.

    Input:
      sid  id of the session
    Output: nothing
    Errors:
      ESRCH  there is no such session
      EPERM  it belongs to another user, and the caller lacks CAP_KILL
]]
function sys.kill(sid)
  local target = session.cred_of(sid)
  if not target then kernel.fail("ESRCH", "there is no session " .. sid) end
  if target.uid ~= session.cred().uid and not cred.capable("CAP_KILL") then
    kernel.fail("EPERM", "session " .. sid .. " belongs to uid " .. target.uid .. ": needs CAP_KILL")
  end
  session.do_exit(sid, "killed")
end

return exit
