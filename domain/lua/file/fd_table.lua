-- A session's fds: small integers, the lowest free first; 0 to 2 are its standard streams.
-- Invariant: bit fd of fdmap is set exactly when fd is in use.
local kernel = use("base/kernel")
local file = use("file/file")
local session = use("base/session")
local call = redis.call

local fd_table = {}

-- The hash of fds with their entries, and the bitmap of the fds in use.
function fd_table.keys(sid)
  return kernel.key("fds", sid), kernel.key("fdmap", sid)
end

function fd_table.create(sid)
  local _, map = fd_table.keys(sid)
  call("SET", map, "\224") -- bits 0, 1 and 2
end

function fd_table.remove(sids)
  local keys = {}
  for _, sid in ipairs(sids) do keys[#keys + 1], keys[#keys + 2] = fd_table.keys(sid) end
  if keys[1] then call("UNLINK", unpack(keys)) end
end

-- The open file behind fd of a session, by default the caller, or nil.
function fd_table.lookup(fd, sid)
  local text = call("HGET", kernel.key("fds", sid or current.sid), fd)
  return text and file.parse(text)
end

-- The same, or fails: with `errno`, else EBADF, when fd is not open.
function fd_table.fget(fd, errno)
  local f = fd_table.lookup(fd)
  if f then return f end
  if tonumber(fd) <= 2 then
    kernel.fail("EINVAL", "fd " .. fd .. " is a standard stream, not a BPF object")
  end
  kernel.fail(errno or "EBADF", "fd " .. fd .. " is not open")
end

function fd_table.fget_kind(fd, kind, errno)
  local f = fd_table.fget(fd, errno)
  if f.kind ~= kind then
    kernel.fail("EINVAL", "fd " .. fd .. " must be a " .. kind .. ", is a " .. f.kind)
  end
  return f
end

-- get_unused_fd_flags(): only finds the number, so that a command can still fail after it.
function fd_table.get_unused_fd()
  local _, map = fd_table.keys(current.sid)
  local fd = call("BITPOS", map, 0)
  if fd >= session.cred().nofile then
    kernel.fail("EMFILE", "all " .. session.cred().nofile
      .. " fds of the session are in use (nofile): close some")
  end
  return fd
end

function fd_table.install(fd, entry)
  local fds, map = fd_table.keys(current.sid)
  call("HSET", fds, fd, entry)
  call("SETBIT", map, fd, 1)
  return fd
end

function fd_table.count(sid)
  return call("HLEN", kernel.key("fds", sid))
end

return fd_table
