-- Maps in maps (kernel/bpf/map_in_map.c): an outer map remembers what its template was like, and takes
-- only maps like it. The template itself is held by nobody.
local kernel = use("base/kernel")
local map = use("map/map")
local map_fd = use("map/map_fd")
local call = redis.call

local inner_map = {}

local function like(m)
  return table.concat({ m.type, m.key_size, m.value_size, m.flags, m.locks or nil }, " ")
end

-- bpf_map_meta_alloc(): what the outer map keeps of its template, as a field of its record.
function inner_map.alloc(attr)
  if attr.inner_map_fd == "" then
    map.einval("inner_map_fd is missing: a map like those that a map of maps will hold")
  end
  local m = map_fd.get_any(attr.inner_map_fd)
  if call("HEXISTS", m.record, "inner") == 1 then
    map.einval("inner_map_fd is itself a map of maps")
  end
  if m.ops.is_never_inner then
    kernel.fail("ENOTSUPP", "a " .. m.type .. " cannot be in a map of maps")
  end
  return { "inner", like(m), "inner_max_entries", m.max_entries,
    "inner_btf", call("HEXISTS", m.record, "schema") }
end

-- bpf_map_fd_get_ptr(): the id of a map that is like the template.
function inner_map.fd_get_ptr(outer, fd)
  local m = map_fd.get_any(fd)
  local inner = call("HMGET", kernel.key("map", outer.id), "inner", "inner_max_entries")
  local template = { flags = m.flags, max_entries = tonumber(inner[2]) }
  local equal = m.ops.meta_equal
  if like(m) ~= inner[1] or (equal and not equal(template, m)) then
    map.einval("map " .. m.id .. " is not like the template: " .. inner[1] .. ", max_entries " .. inner[2])
  end
  return m.id
end

return inner_map
