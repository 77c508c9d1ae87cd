-- Commands on elements, each in the kernel's order: flags, fd, access, key, value, then the type.
local kernel = use("base/kernel")
local map = use("map/map")
local map_fd = use("map/map_fd")
local if_match = use("map/if_match")
local uapi = use("uapi")

local sys = kernel.sys
local F_LOCK = uapi.BPF_F_LOCK

local function check_size(what, bytes, size)
  if #bytes ~= size then
    kernel.fail("EINVAL", what .. " has " .. #bytes .. " bytes, the map's have " .. size)
  end
end

-- ___bpf_copy_key(): an empty key is a null pointer, which only maps without keys take.
local function check_key(m, key)
  if m.key_size == 0 and key ~= "" then map.einval("a " .. m.type .. " has no keys: push, pop, peek") end
  if m.key_size > 0 and key == "" then kernel.fail("EFAULT", "the map has keys, and none is given") end
  check_size("key", key, m.key_size)
end

local function lookup_flags(flags)
  flags = tonumber(flags)
  if flags ~= 0 and flags ~= F_LOCK then kernel.fail("EINVAL", "flags " .. flags .. " is neither 0 nor 4") end
  return flags
end

local function found(value, missing)
  if not value then kernel.fail("ENOENT", missing or "no such element") end
  return value
end

-- Whether values are ids of objects.
local function ids(m)
  return m.ops.object_kind and 1 or 0
end

-- BPF_MAP_LOOKUP_ELEM: the value, 1 when it is the id of an object, the map's revision, the bytes that the
-- value has with zeros that were never written. `touch` is 1 for a lookup that counts as use, as a program's
-- does and the system call's does not.
function sys.map_lookup_elem(fd, key, flags, value, touch)
  flags = lookup_flags(flags)
  local m = map_fd.get(fd, true, false)
  map.check_op_flags(m, flags)
  check_key(m, key)
  if m.ops.lookup_by_value and value ~= "" then check_size("value", value, m.value_bytes) end
  local there = found((m.ops.lookup_trimmed or m.ops.lookup)(m, key, value ~= "" and value or nil))
  if touch == "1" and m.ops.touch then
    kernel.need_writes()
    m.ops.touch(m, key)
  end
  return there, ids(m), map.revision(m), m.value_bytes
end

-- BPF_MAP_UPDATE_ELEM: the map's new revision.
function sys.map_update_elem(fd, key, value, flags, match)
  local m = map_fd.get(fd, false, true)
  flags = map.check_op_flags(m, tonumber(flags))
  check_key(m, key)
  check_size("value", value, m.value_bytes)
  if match ~= "" then if_match.check(m, key, match) end
  m.ops.update(m, key, map.clear_locks(m, value), flags)
  return map.bump_revision(m)
end

-- BPF_MAP_DELETE_ELEM
function sys.map_delete_elem(fd, key, match)
  local m = map_fd.get(fd, false, true)
  check_key(m, key)
  if match ~= "" then if_match.check(m, key, match) end
  m.ops.delete(m, key)
  return map.bump_revision(m)
end

-- BPF_MAP_LOOKUP_AND_DELETE_ELEM
function sys.map_lookup_and_delete_elem(fd, key, flags, match)
  flags = lookup_flags(flags)
  local m = map_fd.get(fd, true, true)
  map.check_op_flags(m, flags)
  check_key(m, key)
  if not m.ops.lookup_and_delete then kernel.fail("ENOTSUPP", "nothing is taken out of a " .. m.type) end
  if match ~= "" then if_match.check(m, key, match) end
  local taken = found(m.ops.lookup_and_delete(m, key))
  return taken, map.bump_revision(m)
end

-- BPF_MAP_GET_NEXT_KEY: without a key the first one; ENOENT after the last.
function sys.map_get_next_key(fd, key)
  local m = map_fd.get(fd, true, false)
  if key ~= "" then check_key(m, key) end
  return found(m.ops.next_key(m, key ~= "" and key or nil), "no key after this one")
end

-- A page of elements: key and value by turns, where to go on, whether values are ids, the revision, the bytes
-- of a value.
-- An element that stays is shown exactly once over all pages; big ones make for short pages.
function sys.map_dump(fd, cursor, limit)
  local m = map_fd.get(fd, true, false)
  if cursor ~= "" then check_size("cursor", cursor, m.ops.cursor_bytes or m.key_size) end
  local page, rest = m.ops.page(m, cursor ~= "" and cursor or nil, map.page_limit(m, limit))
  return page, rest or false, ids(m), map.revision(m), m.value_bytes
end

-- All elements as of one moment, for maps that one script can show in time.
local SNAPSHOT_ENTRIES = 4096
function sys.map_snapshot(fd)
  local m = map_fd.get(fd, true, false)
  -- First of all, for types that have no elements to show.
  local page = m.ops.page(m, nil, 1)
  local count = m.ops.entries(m)
  if count > SNAPSHOT_ENTRIES or count * (m.key_size + m.value_bytes) > map.PAGE_BYTES then
    kernel.fail("EFBIG", "a snapshot has at most " .. SNAPSHOT_ENTRIES .. " elements and "
      .. map.PAGE_BYTES .. " bytes")
  end
  if count > 1 then page = m.ops.page(m, nil, count) end
  return page, false, ids(m), map.revision(m), m.value_bytes
end
