-- The command that changes a session's credentials, umask and ttl.
local kernel = use("base/kernel")
local session = use("base/session")
local cred = use("base/cred")
local info = use("process/info")
local call = redis.call

local function choose(value, now)
  return value ~= "" and value or now
end

--[[
  setgroups(2), setgid(2), setuid(2), umask(2) in the order in which a daemon drops root, and the ttl.
  Changing uid 0 to another drops all capabilities (kernel: cap_emulate_setxuid()).

    Input: "" leaves a field as it is
      uid, gid  numbers
      groups    ",1,2,"
      umask     number
      ttl       ms
    Output:
      info  in the order of uapi.SESSION_INFO
    Errors:
      EPERM  uid changes without CAP_SETUID, or gid or groups without CAP_SETGID
]]
function kernel.sys.session_set(uid, gid, groups, umask, ttl)
  local c = session.cred()
  local regroups = groups ~= "" or (gid ~= "" and tonumber(gid) ~= c.gid)
  if regroups and not cred.capable("CAP_SETGID") then
    kernel.fail("EPERM", "changing gid or groups needs CAP_SETGID")
  end
  local switches = uid ~= "" and tonumber(uid) ~= c.uid
  if switches and not cred.capable("CAP_SETUID") then
    kernel.fail("EPERM", "changing uid from " .. c.uid .. " to " .. uid .. " needs CAP_SETUID")
  end
  call("HSET", kernel.key("session", current.sid), "cred", session.pack_cred({
    uid = choose(uid, c.uid), gid = choose(gid, c.gid), groups = choose(groups, c.groups),
    umask = choose(umask, c.umask), nofile = c.nofile,
    caps = switches and c.uid == 0 and "," or c.caps }))
  if ttl ~= "" then session.renew(current.sid, tonumber(ttl), current.token) end
  return info.of(current.sid)
end
