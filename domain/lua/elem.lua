-- Commands on elements, each in the kernel's order: flags, fd, access, key, value, then the type.
local kernel = use("kernel")
local map = use("map")

local elem = { sys = {} }
local sys = elem.sys
local F_LOCK = 4

-- No map has a bpf_spin_lock here.
local function refuse_lock(flags)
  if flags % (2 * F_LOCK) >= F_LOCK then
    kernel.fail("EINVAL", "BPF_F_LOCK: the value has no bpf_spin_lock")
  end
end

local function check_size(what, bytes, size)
  if #bytes ~= size then
    kernel.fail("EINVAL", what .. " has " .. #bytes .. " bytes, the map's have " .. size)
  end
end

local function lookup_flags(flags)
  flags = tonumber(flags)
  if flags ~= 0 and flags ~= F_LOCK then kernel.fail("EINVAL", "flags " .. flags) end
  return flags
end

local function found(value, missing)
  if not value then kernel.fail("ENOENT", missing or "no such element") end
  return value
end

-- BPF_MAP_LOOKUP_ELEM: the value, and 1 when it is the id of an object.
function sys.map_lookup_elem(fd, key, flags)
  flags = lookup_flags(flags)
  local m = map.fget(fd, true, false)
  refuse_lock(flags)
  check_size("key", key, m.key_size)
  return found(m.ops.lookup(m, key)), m.ops.holds_ids
end

-- BPF_MAP_UPDATE_ELEM
function sys.map_update_elem(fd, key, value, flags)
  flags = tonumber(flags)
  local m = map.fget(fd, false, true)
  refuse_lock(flags)
  check_size("key", key, m.key_size)
  check_size("value", value, m.value_size)
  m.ops.update(m, key, value, flags)
end

-- BPF_MAP_DELETE_ELEM
function sys.map_delete_elem(fd, key)
  local m = map.fget(fd, false, true)
  check_size("key", key, m.key_size)
  m.ops.delete(m, key)
end

-- BPF_MAP_LOOKUP_AND_DELETE_ELEM
function sys.map_lookup_and_delete_elem(fd, key, flags)
  flags = lookup_flags(flags)
  local m = map.fget(fd, true, true)
  refuse_lock(flags)
  check_size("key", key, m.key_size)
  if not m.ops.take then kernel.fail("ENOTSUPP", "a " .. m.type .. " cannot take") end
  return found(m.ops.take(m, key))
end

-- BPF_MAP_GET_NEXT_KEY: without a key the first one; ENOENT after the last.
function sys.map_get_next_key(fd, has_key, key)
  local m = map.fget(fd, true, false)
  if has_key == "1" then check_size("key", key, m.key_size) end
  return found(m.ops.next_key(m, has_key == "1" and key or nil), "no key after this one")
end

-- A page of elements: key and value by turns, where to go on, and 1 when values are ids.
-- An element that stays is shown exactly once over all pages; big ones make for short pages.
local PAGE_BYTES = 262144
function sys.map_dump(fd, cursor, limit)
  local m = map.fget(fd, true, false)
  local fits = math.max(1, math.floor(PAGE_BYTES / (m.key_size + m.value_size)))
  if cursor ~= "" then check_size("cursor", cursor, m.key_size) end
  local page, rest = m.ops.page(m, cursor ~= "" and cursor or nil, math.min(limit, fits))
  return page, rest or false, m.ops.holds_ids
end

return elem
