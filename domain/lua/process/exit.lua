-- Ends sessions: exit, kill and expiry take one path, session.do_exit(), which leaves the work item "exit".
-- Invariant: after session.do_exit() no command runs in the session's name; its fds and the files sent to
-- it are closed in order and in bounded steps, by this call, later commands or the sweeper.
local kernel = use("base/kernel")
local clock = use("base/clock")
local work = use("base/work")
local work_list = use("base/work_list")
local session = use("base/session")
local cred = use("base/cred")
local fd = use("file/fd")
local scm_rights = use("file/scm_rights")
local call = redis.call

-- Units of the work list for the end of a session, for closing an fd, and what fds may be expected to cost
-- with the objects that they free.
local END, CLOSE, FDS = 3, 2, 20
-- Sessions that end together.
local SESSIONS = 64

local exit = {}
local sys = kernel.sys

local function do_exit(sids, reason)
  session.do_exit(sids, reason)
  work.spend(END * #sids)
end

-- How many sessions may end together.
local function room()
  return math.min(SESSIONS, math.ceil(work.room() / (END + FDS)))
end

-- Ends due sessions as far as the budget allows, and frees what they held. Answers whether one is left: it
-- cannot act (session.enter), and no command shows what it holds (work_list.need_released).
function exit.exit_due_sessions()
  clock.note_expiry()
  while work.room() > 0 do
    local first = { "LIMIT", 0, room() }
    local sids = call("ZRANGEBYSCORE", kernel.key("deadlines"), "-inf", current.now, unpack(first))
    if #sids == 0 then break end
    do_exit(sids, session.EXPIRED)
    work.drain()
  end
  return clock.is_due()
end

-- Ends all sessions of a namespace that is being deleted.
work.handle("end_sessions", function()
  local limit = room()
  local sids = call("ZRANGE", kernel.key("ids:session"), 0, limit - 1)
  if sids[1] then do_exit(sids, session.DELETED) end
  if #sids == limit then work.push("end_sessions") end
  return 1
end)

work.handle_batch("exit", function(items)
  for i, item in ipairs(items) do items[i] = { sid = item[2], from = tonumber(item[3]) } end
  local closed, done, rest = fd.close_all(items, math.ceil(work.room() / CLOSE))
  for _, left in ipairs(rest) do work.push("exit", left.sid, left.from) end
  scm_rights.discard_later(done)
  return CLOSE * closed + #items
end)

-- One turn of a release; answers whether a due session is left, and whether work is.
function exit.release()
  work.allow(work.TURN)
  local is_due = clock.is_due() and exit.exit_due_sessions()
  local is_left = work_list.resume()
  return is_due, is_left
end

--[[
  Goes on with the release that a call waits for: one step (internal).

    Input: none
    Output:
      more  1 when references are left that ended sessions held, else 0
    Errors: none
]]
function sys.release()
  current.is_due = exit.release()
  return work_list.has_references() and 1 or 0
end

--[[
  exit(2) (kernel: do_exit()): ends the session of the caller.

    Input: none
    Output: nothing
    Errors: none
]]
function sys.exit()
  session.do_exit({ current.sid }, "exited")
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
  local target = session.is_living(sid) and session.cred_of(sid)
  if not target then kernel.fail("ESRCH", "there is no session " .. sid) end
  if target.uid ~= session.cred().uid and not cred.capable("CAP_KILL") then
    kernel.fail("EPERM", "session " .. sid .. " belongs to uid " .. target.uid .. ": needs CAP_KILL")
  end
  session.do_exit({ sid }, "killed")
end

return exit
