-- Commands on sessions as processes: made, forked, listed, changed, killed.
local kernel = use("kernel")
local clock = use("clock")
local session = use("session")
local cred = use("cred")
local fd_table = use("fd_table")
local call = redis.call

local process = { sys = {} }
local sys = process.sys
local IDS, META = kernel.key("ids:session"), kernel.key("meta")
-- A fork copies its fds in one atomic step.
local FORK_FDS = 500
-- As many as one call tells of; the page says that there is more.
local PAGE = 200

local function create(token, label, ttl, uid, gid, groups, caps, umask, nofile)
  if call("ZCARD", IDS) == 0 then clock.start() end
  local sid = kernel.next("session")
  call("HSET", kernel.key("session", sid), "token", token, "label", label, "ttl", ttl, "uid", uid,
    "gid", gid, "groups", groups, "caps", caps, "umask", umask, "nofile", nofile,
    "created", clock.wall)
  call("ZADD", IDS, sid, sid)
  session.renew(sid, tonumber(ttl))
  return sid
end

-- Field and value by turns: what is stored, less the token, and what is derived.
local function info(sid)
  local fields = call("HGETALL", kernel.key("session", sid))
  local all = { "id", sid, "expires", clock.to_wall(tonumber(call("ZSCORE", kernel.key("deadlines"), sid))),
    "fd_count", fd_table.count(sid), "cpus", session.cpus() }
  for i = 1, #fields, 2 do
    if fields[i] ~= "token" then
      all[#all + 1], all[#all + 2] = fields[i], fields[i + 1]
    end
  end
  return all
end

-- The first session sets the namespace's number of CPUs for good: values are laid out by it.
local function set_cpus(cpus, default)
  local now = call("HGET", META, "cpus")
  if now and cpus ~= "" and cpus ~= now then
    kernel.fail("EINVAL", "cpus: the namespace has " .. now)
  end
  if not now then call("HSET", META, "cpus", cpus ~= "" and cpus or default) end
end

-- The seed of the token is kept with the answer, so that a repeated request gets the same token.
function sys.session_create(seed, cpus, default_cpus, ...)
  set_cpus(cpus, default_cpus)
  local sid = create(...)
  fd_table.create(sid)
  return info(sid), seed
end

function sys.session_get()
  return info(session.id)
end

function sys.session_renew()
  local ttl = call("HGET", kernel.key("session", session.id), "ttl")
  return clock.to_wall(session.renew(session.id, tonumber(ttl)))
end

-- fork(2): a child with the same credentials and the same open files.
-- ENOMEM: more fds than one atomic step copies.
function sys.fork(seed, token, label, ttl)
  local parent = call("HMGET", kernel.key("session", session.id), "label", "ttl")
  if fd_table.count(session.id) > FORK_FDS then
    kernel.fail("ENOMEM", "a session with more than " .. FORK_FDS .. " fds cannot be forked")
  end
  local c = session.cred()
  local sid = create(token, label ~= "" and label or parent[1], ttl ~= "" and ttl or parent[2],
    c.uid, c.gid, c.groups, c.caps, c.umask, c.nofile)
  use("fd").copy(session.id, sid)
  return info(sid), seed
end

-- setgroups(2), setgid(2), setuid(2), umask(2) in the order in which a daemon gives up root, and the
-- ttl; empty means unchanged. EPERM without CAP_SETUID or CAP_SETGID. uid 0 to another loses all
-- capabilities (capabilities(7)).
function sys.session_set(uid, gid, groups, umask, ttl)
  local c = session.cred()
  local changes = {}
  local function change(field, value)
    if value ~= "" then changes[#changes + 1], changes[#changes + 2] = field, value end
  end
  local regroups = groups ~= "" or (gid ~= "" and tonumber(gid) ~= c.gid)
  if regroups and not cred.capable("CAP_SETGID") then kernel.fail("EPERM", "needs CAP_SETGID") end
  local switches = uid ~= "" and tonumber(uid) ~= c.uid
  if switches and not cred.capable("CAP_SETUID") then kernel.fail("EPERM", "needs CAP_SETUID") end
  change("uid", uid)
  change("gid", gid)
  change("groups", groups)
  change("umask", umask)
  change("ttl", ttl)
  if switches and c.uid == 0 then change("caps", ",") end
  if #changes > 0 then call("HSET", kernel.key("session", session.id), unpack(changes)) end
  if ttl ~= "" then session.renew(session.id, tonumber(ttl)) end
  return info(session.id)
end

function sys.session_list(start, limit)
  limit = math.min(tonumber(limit), PAGE)
  local sids = call("ZRANGEBYSCORE", IDS, "(" .. start, "+inf", "LIMIT", 0, limit + 1)
  local more = #sids > limit and table.remove(sids)
  local page = {}
  for i, sid in ipairs(sids) do page[i] = info(sid) end
  return page, more and sids[#sids] or false
end

function sys.exit()
  session.finish(session.id, "exited")
end

-- kill(2), SIGKILL: EPERM unless the same user or CAP_KILL; ESRCH.
function sys.kill(sid)
  local uid = call("HGET", kernel.key("session", sid), "uid")
  if not uid then kernel.fail("ESRCH", "no session " .. sid) end
  if tonumber(uid) ~= session.cred().uid and not cred.capable("CAP_KILL") then
    kernel.fail("EPERM", "session " .. sid .. " belongs to another user")
  end
  session.finish(sid, "killed")
end

return process
