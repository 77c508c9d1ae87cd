-- Commands that make sessions, as processes are made: from nothing, or by fork.
local kernel = use("base/kernel")
local layout = use("base/layout")
local session = use("base/session")
local fd_table = use("file/fd_table")
local fd = use("file/fd")
local info = use("process/info")
local call = redis.call

local sys = kernel.sys
-- A fork copies its fds in one atomic step.
local FORK_FDS = 500

local function create(token, label, ttl, cred_text)
  local sid = kernel.increment("session")
  call("HSET", kernel.key("session", sid), "label", label, "cred", cred_text,
    "created", current.wall)
  call("ZADD", kernel.key("ids:session"), sid, sid)
  session.renew(sid, tonumber(ttl), token)
  return sid
end

-- The first session sets the namespace's number of CPUs for good: values are laid out by it.
local function set_cpus(cpus, default)
  local now = session.cpus()
  if now and cpus ~= "" and cpus ~= now then
    kernel.fail("EINVAL", "cpus must be " .. now .. ", as in the whole namespace, got " .. cpus)
  end
  if now then return end
  current.cpus = cpus ~= "" and cpus or default
  layout.keep()
  call("HSET", current.meta, "cpus", current.cpus)
end

--[[
  Creates a process: credentials, an fd table, a lifetime (extension).

    Input:
      seed          of the token; it is kept with the answer, so that a repeat gets the same token
      cpus          possible CPUs of the namespace, "" for no wish
      default_cpus  of a namespace without sessions
      token         hash of the token
      label         text
      ttl           ms
      ...           credentials in the order of uapi.CRED
    Output:
      info  in the order of uapi.SESSION_INFO
      seed
    Errors:
      EBUSY   the namespace is being deleted
      EINVAL  the namespace has another number of CPUs
]]
function sys.session_create(seed, cpus, default_cpus, token, label, ttl, ...)
  if current.deleting then
    kernel.fail("EBUSY", "the namespace is being deleted: try again when it is gone")
  end
  set_cpus(cpus, default_cpus)
  local sid = create(token, label, ttl, table.concat({ ... }, " "))
  fd_table.create(sid)
  return info.of(sid), seed
end

--[[
  fork(2) (kernel: copy_process()): a child with the same credentials and the same open files.

    Input:
      seed   of the token
      token  hash of the token
      label  text, "" for the label of the parent
      ttl    ms, "" for the ttl of the parent
    Output:
      info  in the order of uapi.SESSION_INFO
      seed
    Errors:
      ENOMEM  the session has more fds than one atomic step copies
]]
function sys.fork(seed, token, label, ttl)
  local fds = fd_table.count(current.sid)
  if fds > FORK_FDS then
    kernel.fail("ENOMEM", "a session with " .. fds .. " fds cannot be forked: at most " .. FORK_FDS)
  end
  local _, own_ttl = session.read_life(current.sid)
  local own_label = call("HGET", kernel.key("session", current.sid), "label")
  local sid = create(token, label ~= "" and label or own_label, ttl ~= "" and ttl or own_ttl,
    session.pack_cred(session.cred()))
  fd.copy(current.sid, sid)
  return info.of(sid), seed
end
