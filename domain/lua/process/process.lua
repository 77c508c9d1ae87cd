-- Commands on sessions as processes: made, forked, listed, changed, killed.
local kernel = use("base/kernel")
local clock = use("base/clock")
local session = use("base/session")
local cred = use("base/cred")
local fd_table = use("file/fd_table")
local fd = use("file/fd")
local uapi = use("uapi")
local call = redis.call

local sys = kernel.sys
-- A fork copies its fds in one atomic step.
local FORK_FDS = 500
-- As many as one call tells of; the page says that there is more.
local PAGE = 200

local function create(token, label, ttl, cred_text)
  local sid = kernel.increment("session")
  call("HSET", kernel.key("session", sid), "label", label, "cred", cred_text,
    "created", current.wall)
  call("ZADD", kernel.key("ids:session"), sid, sid)
  session.renew(sid, tonumber(ttl), token)
  return sid
end

-- In the order of uapi.SESSION_INFO.
local function info(sid)
  local deadline, ttl = session.read_life(sid)
  local stored = call("HMGET", kernel.key("session", sid), "label", "created")
  return kernel.list_fields(uapi.SESSION_INFO, { id = sid, label = stored[1], ttl = ttl, created = stored[2],
    expires = clock.to_wall(deadline), fd_count = fd_table.count(sid), cpus = session.cpus() },
    session.cred_of(sid))
end

-- The first session sets the namespace's number of CPUs for good: values are laid out by it.
local function set_cpus(cpus, default)
  local now = session.cpus()
  if now and cpus ~= "" and cpus ~= now then
    kernel.fail("EINVAL", "cpus: the namespace has " .. now)
  end
  if now then return end
  current.cpus = cpus ~= "" and cpus or default
  call("HSET", current.meta, "cpus", current.cpus)
end

-- The seed of the token is kept with the answer, so that a repeated request gets the same token.
-- After ttl come the credentials, in the order of uapi.CRED.
function sys.session_create(seed, cpus, default_cpus, token, label, ttl, ...)
  set_cpus(cpus, default_cpus)
  local sid = create(token, label, ttl, table.concat({ ... }, " "))
  fd_table.create(sid)
  return info(sid), seed
end

function sys.session_get()
  return info(current.sid)
end

function sys.session_renew()
  local _, ttl = session.read_life(current.sid)
  return clock.to_wall(session.renew(current.sid, ttl, current.token))
end

-- fork(2): a child with the same credentials and the same open files.
-- ENOMEM: more fds than one atomic step copies.
function sys.fork(seed, token, label, ttl)
  if fd_table.count(current.sid) > FORK_FDS then
    kernel.fail("ENOMEM", "a session with more than " .. FORK_FDS .. " fds cannot be forked")
  end
  local _, own_ttl = session.read_life(current.sid)
  local own_label = call("HGET", kernel.key("session", current.sid), "label")
  local sid = create(token, label ~= "" and label or own_label, ttl ~= "" and ttl or own_ttl,
    session.pack_cred(session.cred()))
  fd.copy(current.sid, sid)
  return info(sid), seed
end

-- setgroups(2), setgid(2), setuid(2), umask(2) in the order in which a daemon gives up root, and the
-- ttl; empty means unchanged. EPERM without CAP_SETUID or CAP_SETGID. uid 0 to another loses all
-- capabilities (capabilities(7)).
function sys.session_set(uid, gid, groups, umask, ttl)
  local c = session.cred()
  local regroups = groups ~= "" or (gid ~= "" and tonumber(gid) ~= c.gid)
  if regroups and not cred.capable("CAP_SETGID") then kernel.fail("EPERM", "needs CAP_SETGID") end
  local switches = uid ~= "" and tonumber(uid) ~= c.uid
  if switches and not cred.capable("CAP_SETUID") then kernel.fail("EPERM", "needs CAP_SETUID") end
  local function given(value, now) return value ~= "" and value or now end
  call("HSET", kernel.key("session", current.sid), "cred", session.pack_cred({
    uid = given(uid, c.uid), gid = given(gid, c.gid), groups = given(groups, c.groups),
    umask = given(umask, c.umask), nofile = c.nofile,
    caps = switches and c.uid == 0 and "," or c.caps }))
  if ttl ~= "" then session.renew(current.sid, tonumber(ttl), current.token) end
  return info(current.sid)
end

function sys.session_list(start, limit)
  limit = math.min(tonumber(limit), PAGE)
  local sids = call("ZRANGEBYSCORE", kernel.key("ids:session"), "(" .. start, "+inf",
    "LIMIT", 0, limit + 1)
  local more = #sids > limit and table.remove(sids)
  local page = {}
  for i, sid in ipairs(sids) do page[i] = info(sid) end
  return page, more and sids[#sids] or false
end

-- kill(2), SIGKILL: EPERM unless the same user or CAP_KILL; ESRCH.
function sys.kill(sid)
  local target = session.cred_of(sid)
  if not target then kernel.fail("ESRCH", "no session " .. sid) end
  if target.uid ~= session.cred().uid and not cred.capable("CAP_KILL") then
    kernel.fail("EPERM", "session " .. sid .. " belongs to another user")
  end
  session.do_exit(sid, "killed")
end
