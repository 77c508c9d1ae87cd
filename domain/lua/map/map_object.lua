-- Maps as counted objects: what is told of one, and what becomes of it with its last user and holder.
local kernel = use("base/kernel")
local refcount = use("base/refcount")
local map = use("map/map")
local uapi = use("uapi")
local call = redis.call

-- In the order of uapi.MAP_INFO: stored values, and the number of elements. The schema, which may be long,
-- is left out of a list.
local function info(id, listed)
  local m, stored = map.load(id), {}
  local fields = call("HMGET", kernel.key("map", id), unpack(uapi.MAP_FIELDS))
  for i, field in ipairs(uapi.MAP_FIELDS) do stored[field] = fields[i] end
  if not listed then stored.schema = call("HGET", kernel.key("map", id), "schema") end
  stored.entries = m.ops.entries(m)
  local list = {}
  for i, field in ipairs(uapi.MAP_INFO) do list[i] = stored[field] or m[field] or false end
  return list
end

-- bpf_map_put_uref() at 0
local function release_users(id)
  local m = map.load(id)
  if m.ops.release_users then m.ops.release_users(m) end
end

local function free(id)
  local m = map.load(id)
  m.ops.free(id, m)
  call("UNLINK", kernel.key("map", id), kernel.key("holders:map", id))
end

refcount.kinds.map = { info = info, release_users = release_users, free = free }
