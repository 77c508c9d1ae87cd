-- Maps as counted objects: their info, and what happens when the last user and the last holder go.
local kernel = use("base/kernel")
local refcount = use("base/refcount")
local work = use("base/work")
local map = use("map/map")
local map_attr = use("map/map_attr")
local uapi = use("uapi")
local call = redis.call

-- In the order of uapi.MAP_INFO. A list leaves the schema out, which may be long.
local function info(id, listed)
  local m, stored = map.load(id), {}
  local fields = call("HMGET", m.record, unpack(uapi.MAP_FIELDS))
  for i, field in ipairs(uapi.MAP_FIELDS) do stored[field] = fields[i] end
  if not listed then stored.schema = call("HGET", m.record, "schema") end
  stored.entries = m.ops.entries(m)
  return kernel.list_fields(uapi.MAP_INFO, stored, m)
end

local function identify(id)
  local attr, name = unpack(call("HMGET", kernel.key("map", id), "attr", "map_name"))
  return attr:match("^%S+"), name
end

-- bpf_map_put_uref() at 0. The map is often freed by the same call, which need not read it again.
local function release_uref(id)
  local m = map.load(id)
  current.dying = current.dying or {}
  current.dying[id] = m
  if m.ops.release_uref then m.ops.release_uref(m) end
end

-- The BTF object that a map holds: that of its own types, or of its template's.
local function put_btf(id, m)
  local own, template = unpack(call("HMGET", m.record, "btf_id", "template_btf"))
  if own or template then refcount.put("btf", own or template, "map:" .. id) end
end

local function free(id)
  local m = current.dying and current.dying[id] or map.load(id)
  put_btf(id, m)
  work.unlink(m.record)
  work.unlink(kernel.key("holders:map", id))
  return m.ops.free(id, m)
end

refcount.kinds.map = { info = info, identify = identify, type_of = map_attr.type_of,
  release_uref = release_uref, free = free }
