-- Files in flight: sent to a session, not yet received (SCM_RIGHTS over a unix socket).
-- Invariant: a file in flight is a sharer of the open file, so it still holds its object.
local kernel = use("base/kernel")
local work = use("base/work")
local session = use("base/session")
local file = use("file/file")
local fd_table = use("file/fd_table")
local call = redis.call

-- As many files as one message may carry (SCM_MAX_FD).
local LIMIT = 253
-- Units of the work list for a file.
local PUT = 2

local scm_rights = {}
local sys = kernel.sys

local function key(sid)
  return kernel.key("inbox", sid)
end

-- Sessions that end drop the files that they never received.
function scm_rights.discard_later(sids)
  local keys = {}
  for i, sid in ipairs(sids) do keys[i] = key(sid) end
  if not keys[1] or call("EXISTS", unpack(keys)) == 0 then return end
  for i, sid in ipairs(sids) do
    if call("EXISTS", keys[i]) == 1 then work.push("discard", sid) end
  end
end

work.handle("discard", function(sid)
  local limit = math.ceil(work.room() / PUT)
  local entries = call("LPOP", key(sid), limit) or {}
  for i, message in ipairs(entries) do entries[i] = message:match("^%d+ (.*)$") end
  file.put_all(entries)
  if #entries == limit then work.push("discard", sid) end
  return PUT * #entries
end)

--[[
  sendmsg(2) with SCM_RIGHTS: sends an open file to another session (kernel: net/core/scm.c scm_send()).

    Input:
      fd  number of the descriptor
      to  id of the receiving session
    Output: nothing
    Errors:
      EBADF   fd is not open
      EINVAL  fd is a standard stream
      ESRCH   there is no session `to`
      EAGAIN  the queue of the receiver is full
]]
function sys.sendmsg(fd, to)
  local f = fd_table.fget(fd)
  if not session.is_living(to) then
    kernel.fail("ESRCH", "there is no session " .. to)
  end
  if call("LLEN", key(to)) >= LIMIT then
    kernel.fail("EAGAIN", "session " .. to .. " has " .. LIMIT
      .. " files waiting, the most a queue holds: try again")
  end
  file.get(f)
  call("RPUSH", key(to), current.sid .. " " .. f.entry)
end

--[[
  recvmsg(2) with SCM_RIGHTS: receives the oldest file sent to the session (kernel: scm_detach_fds()).

    Input: none
    Output:
      fd, kind, id  the new descriptor and its object
      from          id of the session that sent it
    Errors:
      EAGAIN  no file is waiting
      EMFILE  the session has as many fds as its nofile allows; the file stays in the queue
]]
function sys.recvmsg()
  local message = call("LINDEX", key(current.sid), 0)
  if not message then kernel.fail("EAGAIN", "no file is waiting: try again when one was sent") end
  local fd = fd_table.get_unused_fd()
  call("LPOP", key(current.sid))
  local from, entry = message:match("^(%d+) (.*)$")
  local f = file.parse(entry)
  return fd_table.install(fd, entry), f.kind, f.id, from
end

return scm_rights
