-- Maps in maps (kernel/bpf/map_in_map.c): an outer map stores the attributes of its template and accepts
-- only maps like it. It holds no reference on the template, but one on the template's BTF.
local kernel = use("base/kernel")
local map = use("map/map")
local map_fd = use("map/map_fd")
local call = redis.call

local inner_map = {}

local function like(m)
  local words = { m.type, m.key_size, m.value_size, m.flags }
  if m.locks then words[#words + 1] = m.locks end
  local special = call("HGET", m.record, "special")
  if special then words[#words + 1] = special end
  return table.concat(words, " ")
end

-- bpf_map_meta_alloc(): the fields of the outer map's record that describe its template.
function inner_map.alloc(attr)
  if attr.inner_map_fd == "" then
    map.einval("inner_map_fd is missing: it must be a map like those that the map of maps will hold")
  end
  local m = map_fd.get_any(attr.inner_map_fd)
  if call("HEXISTS", m.record, "inner") == 1 then
    map.einval("inner_map_fd must not be a map of maps itself")
  end
  if m.ops.is_never_inner then
    kernel.fail("ENOTSUPP", "a " .. m.type .. " cannot be in a map of maps")
  end
  local schema, btf_id = unpack(call("HMGET", m.record, "schema", "btf_id"))
  local fields = { "inner", like(m), "inner_max_entries", m.max_entries,
    "inner_btf", (schema or btf_id) and 1 or 0 }
  if btf_id then
    fields.template_btf = btf_id
    fields[#fields + 1], fields[#fields + 2] = "template_btf", btf_id
  end
  return fields
end

-- bpf_map_fd_get_ptr(): the id of a map that is like the template.
function inner_map.fd_get_ptr(outer, fd)
  local m = map_fd.get_any(fd)
  local inner = call("HMGET", kernel.key("map", outer.id), "inner", "inner_max_entries")
  local template = { flags = m.flags, max_entries = tonumber(inner[2]) }
  local equal = m.ops.meta_equal
  if like(m) ~= inner[1] or (equal and not equal(template, m)) then
    map.einval("map " .. m.id .. " differs from the template: " .. inner[1] .. ", max_entries " .. inner[2])
  end
  return m.id
end

return inner_map
