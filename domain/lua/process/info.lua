-- Commands that describe and renew sessions.
local kernel = use("base/kernel")
local clock = use("base/clock")
local session = use("base/session")
local fd_table = use("file/fd_table")
local uapi = use("uapi")
local call = redis.call

local info = {}
local sys = kernel.sys
-- The most that one call lists; the page says that there is more.
local PAGE = 200

-- In the order of uapi.SESSION_INFO.
function info.of(sid)
  local deadline, ttl = session.read_life(sid)
  local stored = call("HMGET", kernel.key("session", sid), "label", "created")
  return kernel.list_fields(uapi.SESSION_INFO, { id = sid, label = stored[1], ttl = ttl, created = stored[2],
    expires = clock.to_wall(deadline), fd_count = fd_table.count(sid), cpus = session.cpus() },
    session.cred_of(sid))
end

--[[
  Describes the session of the caller (extension).

    Input: none
    Output:
      info  in the order of uapi.SESSION_INFO
    Errors: none
]]
function sys.session_get()
  return info.of(current.sid)
end

--[[
  Gives the session its whole ttl again (extension).

    Input: none
    Output:
      expires  wall time in ms
    Errors: none
]]
function sys.session_renew()
  local _, ttl = session.read_life(current.sid)
  return clock.to_wall(session.renew(current.sid, ttl, current.token))
end

--[[
  Lists the sessions of the namespace by id (extension).

    Input:
      start  list ids greater than this
      limit  sessions of a page
    Output:
      page  each in the order of uapi.SESSION_INFO
      next  where the next page starts, or false
    Errors: none
]]
function sys.session_list(start, limit)
  limit = math.min(tonumber(limit), PAGE)
  local sids = call("ZRANGEBYSCORE", kernel.key("ids:session"), "(" .. start, "+inf",
    "LIMIT", 0, limit + 1)
  local more = #sids > limit and table.remove(sids)
  local page = {}
  for i, sid in ipairs(sids) do page[i] = info.of(sid) end
  return page, more and sids[#sids] or false
end

return info
