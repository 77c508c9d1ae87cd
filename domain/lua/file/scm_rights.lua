-- Files in flight: sent to a session, not yet received (SCM_RIGHTS over a unix socket).
-- Invariant: a file in flight is a sharer of the open file, so it still holds its object.
local kernel = use("base/kernel")
local work = use("base/work")
local file = use("file/file")
local fd_table = use("file/fd_table")
local call = redis.call

-- As many as one message may carry (SCM_MAX_FD); the sender is told to try again.
local LIMIT = 253

local scm_rights = {}
local sys = kernel.sys

local function key(sid)
  return kernel.key("inbox", sid)
end

-- A session that ends drops what it never received.
function scm_rights.discard_later(sid)
  work.push("discard", sid)
end

work.handle("discard", function(sid)
  local room, dropped = work.room(), 0
  while dropped < room do
    local message = call("LPOP", key(sid))
    if not message then return dropped end
    file.put(file.parse(message:match("^%d+ (.*)$")))
    dropped = dropped + 1
  end
  scm_rights.discard_later(sid)
  return dropped
end)

-- sendmsg(2) with SCM_RIGHTS: EBADF, ESRCH, EAGAIN when the receiver's queue is full.
function sys.sendmsg(fd, to)
  local f = fd_table.fget(fd)
  if call("EXISTS", kernel.key("session", to)) == 0 then
    kernel.fail("ESRCH", "no session " .. to)
  end
  if call("LLEN", key(to)) >= LIMIT then
    kernel.fail("EAGAIN", "session " .. to .. " has " .. LIMIT .. " files waiting")
  end
  file.get(f)
  call("RPUSH", key(to), current.sid .. " " .. f.entry)
end

-- recvmsg(2): EAGAIN when nothing waits; EMFILE loses nothing, the file goes on waiting.
function sys.recvmsg()
  local message = call("LINDEX", key(current.sid), 0)
  if not message then kernel.fail("EAGAIN", "nothing was sent") end
  local fd = fd_table.get_unused_fd()
  call("LPOP", key(current.sid))
  local from, entry = message:match("^(%d+) (.*)$")
  local f = file.parse(entry)
  return fd_table.install(fd, entry), f.kind, f.id, from
end

return scm_rights
