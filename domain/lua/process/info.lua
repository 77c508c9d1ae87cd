-- Commands that describe and renew sessions.
local kernel = use("base/kernel")
local clock = use("base/clock")
local work_list = use("base/work_list")
local session = use("base/session")
local fd_table = use("file/fd_table")
local uapi = use("uapi")
local paging = use("base/paging")
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
      ttl      ms
    Errors: none
]]
function sys.session_renew()
  local ttl = current.ttl
  return clock.to_wall(session.renew(current.sid, ttl, current.token)), ttl
end

--[[
  Renews many sessions whose requests are under way, each for its whole ttl (internal).

    Input: of each session
      sid    id of the session
      token  hash of its token
    Output:
      ttls  ms, of each session; false for one whose own renewal may fail
    Errors: none
]]
function sys.sessions_renew(...)
  return session.renew_all({ ... })
end

--[[
  Describes a session of the namespace by its id (extension).

    Input:
      sid  id of the session
    Output:
      info    in the order of uapi.SESSION_INFO; false when no session has this id
      reason  of the end of a session that had it, while it is known
    Errors: none
]]
function sys.session_get_by_id(sid)
  if session.is_living(sid) then return info.of(sid) end
  if session.read_life(sid) then return false, session.EXPIRED end
  return false, call("HGET", kernel.key("ended", sid), "reason")
end

--[[
  Lists the sessions of the namespace by id (extension).

    Input:
      start  list ids greater than this
      limit  sessions of a page
      label  list sessions with this label alone, "" for all
    Output:
      page  each in the order of uapi.SESSION_INFO
      last  last id looked at when there are more, or false
    Errors: none
]]
function sys.session_list(start, limit, label)
  local matches = label ~= "" and function(sid)
    return call("HGET", kernel.key("session", sid), "label") == label
  end
  work_list.need_released()
  limit = math.min(tonumber(limit), PAGE)
  local page, last = paging.select_ids(kernel.key("ids:session"), start, limit, matches)
  for i, sid in ipairs(page) do page[i] = info.of(sid) end
  return page, last
end

return info
